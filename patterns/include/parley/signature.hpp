// SPDX-License-Identifier: MPL-2.0
//
// What a method looks like, in words that programs in other languages understand: the names of
// MessagePack's types, as "parley.methods" tells them.
#pragma once

#include <parley/codec.hpp>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

template<class...>
struct types {};

struct signature {
  struct parameter {
    std::string name;  // empty: has none
    std::string type;
    MSGPACK_DEFINE_MAP(name, type)
  };
  std::string name;
  std::vector<parameter> parameters;
  std::string result;
  bool streams = false;  // many results
  MSGPACK_DEFINE_MAP(name, parameters, result, streams)

  [[nodiscard]] std::vector<std::string> parameter_names() const {
    std::vector<std::string> names;
    for (const parameter& each : parameters) {
      names.push_back(each.name);
    }
    return names;
  }
};

// "int", "array<str>"; what has no better word is a "value".
template<class T>
struct type_word {
  static std::string get() {
    if constexpr (std::is_void_v<T>) {
      return "nil";
    } else if constexpr (std::is_same_v<T, bool>) {
      return "bool";
    } else if constexpr (std::is_enum_v<T> || (std::is_integral_v<T> && std::is_signed_v<T>)) {
      return "int";
    } else if constexpr (std::is_integral_v<T>) {
      return "uint";
    } else if constexpr (std::is_floating_point_v<T>) {
      return "float";
    } else if constexpr (std::is_convertible_v<T, std::string_view>) {
      return "str";
    } else if constexpr (requires(const T& value, msgpack::packer<pack_buffer>& out) {
                           value.msgpack_pack(out);
                         }) {
      return "struct";
    } else {
      return "value";
    }
  }
};
template<>
struct type_word<std::vector<char>> {
  static std::string get() { return "bin"; }
};
template<>
struct type_word<std::vector<unsigned char>> {
  static std::string get() { return "bin"; }
};
template<class T>
struct array_word {
  static std::string get() { return "array<" + type_word<T>::get() + ">"; }
};
template<class T>
struct type_word<std::vector<T>> : array_word<T> {};
template<class T>
struct type_word<std::list<T>> : array_word<T> {};
template<class T>
struct type_word<std::set<T>> : array_word<T> {};
template<class T, std::size_t Size>
struct type_word<std::array<T, Size>> : array_word<T> {};
template<class T>
struct type_word<std::optional<T>> {
  static std::string get() { return type_word<T>::get() + "?"; }
};
template<class Key, class T>
struct map_word {
  static std::string get() {
    return "map<" + type_word<Key>::get() + "," + type_word<T>::get() + ">";
  }
};
template<class Key, class T>
struct type_word<std::map<Key, T>> : map_word<Key, T> {};
template<class Key, class T>
struct type_word<std::unordered_map<Key, T>> : map_word<Key, T> {};
template<class... T>
struct tuple_word {
  static std::string get() {
    std::string words;
    ((words += (words.empty() ? "" : ",") + type_word<T>::get()), ...);
    return "tuple<" + words + ">";
  }
};
template<class... T>
struct type_word<std::tuple<T...>> : tuple_word<T...> {};
template<class First, class Second>
struct type_word<std::pair<First, Second>> : tuple_word<First, Second> {};

template<class Result, class... Parameters>
[[nodiscard]] signature signature_of(std::initializer_list<std::string_view> names,
                                     types<Parameters...>) {
  signature made;
  (made.parameters.push_back({{}, type_word<std::remove_cvref_t<Parameters>>::get()}), ...);
  std::size_t index = 0;
  for (const std::string_view each : names) {
    if (index < made.parameters.size()) {
      made.parameters[index++].name = each;
    }
  }
  made.result = type_word<std::remove_cvref_t<Result>>::get();
  return made;
}

}  // namespace parley::detail
