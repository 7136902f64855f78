// SPDX-License-Identifier: MPL-2.0
//
// A small stand-in for libFuzzer where the compiler has none:
//   FUZZER corpus-directory runs [seed]
// runs every file of the corpus, then `runs` mutations of them. The seed makes a run repeatable;
// what was running when it crashed is left in the file `crash-input`.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::string current;

void keep_input(int signal_number) {
  std::ofstream{"crash-input", std::ios::binary} << current;
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void run(const std::string& input) {
  current = input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::string mutate(std::string input, const std::vector<std::string>& corpus,
                   std::mt19937_64& random) {
  const auto below = [&](std::size_t bound) { return bound == 0 ? 0 : random() % bound; };
  static const std::string words[]{"\n", "\r\n", std::string(1, '\0'),  ":", "\\", "\n\n",
                                   "-",  "0",    "99999999999999999999"};
  for (std::size_t n = below(4) + 1; n != 0; --n) {
    const std::size_t at = below(input.size() + 1);
    const std::string& other = corpus[below(corpus.size())];
    const std::size_t from = below(other.size());
    switch (below(5)) {
      case 0:
        input.insert(at, words[below(std::size(words))]);
        break;
      case 1:
        input.erase(at, below(16) + 1);
        break;
      case 2:
        if (at < input.size()) input[at] = static_cast<char>(below(256));
        break;
      case 3:
        input.insert(at, other, from, below(200));
        break;
      default:
        input = input.substr(0, at) + other.substr(from);
    }
  }
  return input.substr(0, 16 * 1024);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::cerr << "usage: " << arguments[0] << " corpus-directory runs [seed]\n";
    return 1;
  }
  for (const int each : {SIGABRT, SIGSEGV, SIGFPE, SIGILL})
    std::signal(each, keep_input);
  std::vector<std::string> corpus;
  for (const auto& each : std::filesystem::directory_iterator{arguments[1]}) {
    std::ifstream file{each.path(), std::ios::binary};
    corpus.emplace_back(std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{});
  }
  if (corpus.empty()) {
    std::cerr << "no corpus in " << arguments[1] << "\n";
    return 1;
  }
  std::sort(corpus.begin(), corpus.end());
  for (const std::string& each : corpus)
    run(each);
  const std::uint64_t runs = std::strtoull(arguments[2], nullptr, 10);
  std::mt19937_64 random{count > 3 ? std::strtoull(arguments[3], nullptr, 10) : 1};
  for (std::uint64_t i = 0; i < runs; ++i)
    run(mutate(corpus[random() % corpus.size()], corpus, random));
  std::cout << corpus.size() << " inputs and " << runs << " mutations\n";
}
