// SPDX-License-Identifier: MPL-2.0
#include "ask.hpp"
#include "commands.hpp"

#include <parley/error.hpp>
#include <parley/source_service.hpp>
#include <parley/task_archive.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// A journal's file, or an endpoint where a running source is managed.
class where_arg {
 public:
  void add_to(CLI::App& command) {
    command
        .add_option("WHERE", text_,
                    "the journal of a source that does not run; or the endpoint of one that does "
                    "('parley push --manage'): its dead letters")
        ->required()
        ->option_text(" ");
  }
  [[nodiscard]] bool is_live() const { return text_.find("://") != std::string::npos; }
  [[nodiscard]] std::vector<place> parse(runtime& /*run*/) const {
    return {place::parse(text_, side::connect)};
  }
  [[nodiscard]] bool has_keys() const { return false; }
  [[nodiscard]] const std::string& str() const { return text_; }

 private:
  std::string text_;
};

struct queue_args {
  where_arg places;
  std::uint64_t number = 0;
  std::vector<std::uint64_t> numbers;
  std::string state;
  bool salvage = false;
  timeout_arg timeout;
  curve_arg curve;
  bool json = false;
};

using on_task = parley::task_archive::on_task;

parley::archived_task task_of(parley::dead_letter_row&& row) {
  return {.id = {0, row.number},
          .is_dead = true,
          .body = parley::frame{row.body.data(), row.body.size()},
          .options = {.key = std::move(row.key), .to = std::move(row.to), .priority = row.priority},
          .attempts = row.attempts,
          .why = std::move(row.failure)};
}

exit_code read(runtime& run, const queue_args& args, const on_task& each) {
  if (!args.places.is_live()) {
    parley::task_archive{args.places.str()}.read(each);
    return exit_code::done;
  }
  return ask_servers(run, args, output{args.json}, [&](parley::client& client) {
    if (!client.wait_for_servers(1, args.timeout.get())) {
      throw parley::no_server{"queue.dead_letters"};
    }
    auto rows = client.stream<parley::dead_letter_row>({.timeout = args.timeout.get()},
                                                       "queue.dead_letters");
    while (auto row = rows.next()) {
      each(task_of(std::move(*row)));
    }
  });
}

std::string_view state_of(const parley::archived_task& task) {
  return task.is_dead ? "dead" : "waiting";
}

json_object head_of(const parley::archived_task& task) {
  json_object object{{"number", task.id.number}, {"state", state_of(task)}};
  put(object, "key", task.options.key);
  put(object, "to", task.options.to);
  object["priority"] = task.options.priority;
  object["attempts"] = task.attempts;
  put(object, "failure", task.why);
  return object;
}

void print_all(const output& out, const parley::archived_task& task) {
  json_object object = head_of(task);
  put(object, "body", task.body.view());
  out.line(object);
}

exit_code list(runtime& run, const queue_args& args) {
  run.watch_stdout();
  const output out{args.json};
  return read(run, args, [&](parley::archived_task&& task) {
    if (!args.state.empty() && args.state != state_of(task)) {
      return;
    }
    if (args.json) {
      out.line(head_of(task));
      return;
    }
    const std::string_view why = task.why;
    out.line(std::to_string(task.id.number) + '\t' + std::string{state_of(task)} + '\t' +
             std::to_string(task.attempts) + '\t' + task.options.key + '\t' +
             std::string{why.substr(0, why.find('\n'))});
  });
}

exit_code refuse(const queue_args& args, std::uint64_t number, const std::string& noun) {
  say("parley: there is no " + noun + " " + std::to_string(number) + " at " + args.places.str());
  return exit_code::usage;
}

exit_code show(runtime& run, const queue_args& args) {
  const output out{args.json};
  std::optional<parley::archived_task> found;
  exit_code code = exit_code::done;
  if (args.places.is_live()) {
    code = read(run, args, [&](parley::archived_task&& task) {
      if (task.id.number == args.number) {
        found = std::move(task);
      }
    });
  } else {
    found = parley::task_archive{args.places.str()}.find(args.number);
  }
  if (code != exit_code::done) {
    return code;
  }
  if (!found) {
    return refuse(args, args.number, args.places.is_live() ? "dead letter" : "task");
  }
  if (args.json) {
    print_all(out, *found);
    return code;
  }
  out.line("number: " + std::to_string(found->id.number));
  out.line("state: " + std::string{state_of(*found)});
  out.line("key: " + found->options.key);
  out.line("to: " + found->options.to);
  out.line("priority: " + std::to_string(found->options.priority));
  out.line("attempts: " + std::to_string(found->attempts));
  out.line("failure: " + found->why);
  out.line(std::string{});
  out.line(found->body.str());
  return code;
}

exit_code export_all(runtime& run, const queue_args& args) {
  run.watch_stdout();
  const output out{true};
  const on_task print = [&](parley::archived_task&& task) { print_all(out, task); };
  if (!args.salvage) {
    return read(run, args, print);
  }
  if (args.places.is_live()) {
    throw CLI::ValidationError{"--salvage", "is for a file"};
  }
  const auto all = parley::task_archive::salvage(args.places.str(), print);
  say("parley: read " + std::to_string(all.read) +
      (all.written ? " of " + std::to_string(*all.written) + " tasks" : " tasks"));
  return exit_code::done;
}

// verb: "retry" or "drop".
exit_code change(runtime& run, const queue_args& args, const std::string& verb) {
  std::vector<std::uint64_t> missing;
  const auto for_all = [&](const std::function<bool(std::uint64_t)>& apply) {
    for (const std::uint64_t number : args.numbers) {
      if (!apply(number)) {
        missing.push_back(number);
      }
    }
  };
  exit_code code = exit_code::done;
  if (args.places.is_live()) {
    code = ask_servers(run, args, output{args.json}, [&](parley::client& client) {
      for_all([&](std::uint64_t number) {
        return client.call<bool>({.timeout = args.timeout.get()}, "queue." + verb, number);
      });
    });
  } else {
    parley::task_archive file{args.places.str()};
    for_all([&](std::uint64_t number) {
      return verb == "retry" ? file.retry(number) : file.drop(number);
    });
  }
  for (const std::uint64_t number : missing) {
    code = refuse(args, number, "dead letter");
  }
  return code;
}

}  // namespace

action add_queue(CLI::App& command) {
  auto args = std::make_shared<queue_args>();
  auto verbs = std::make_shared<std::vector<std::pair<CLI::App*, action>>>();
  command.require_subcommand(1);
  const auto add = [&](const std::string& name, const std::string& summary,
                       const std::string& example, action run) {
    CLI::App* const added = command.add_subcommand(name, summary);
    args->places.add_to(*added);
    args->timeout.add_to(*added, "the longest wait for a running source", usual_timeout_seconds);
    args->curve.add_to(*added);
    add_example(*added, example);
    verbs->emplace_back(added, std::move(run));
    return added;
  };
  auto* const listing = add("list", "print a line for each task", "parley queue list tasks.db",
                            [args](runtime& run) { return list(run, *args); });
  listing->add_option("--state", args->state, "only those that are waiting, or dead")
      ->option_text("waiting|dead")
      ->check(CLI::IsMember({"waiting", "dead"}));
  add_json(*listing, args->json, "each as a JSON object");
  auto* const showing = add("show", "print one task", "parley queue show tasks.db 17",
                            [args](runtime& run) { return show(run, *args); });
  showing->add_option("N", args->number, "its number")->required()->option_text(" ");
  add_json(*showing, args->json, "as a JSON object");
  for (const std::string verb : {"retry", "drop"}) {
    add(verb, verb == "retry" ? "have dead letters tried again" : "forget dead letters",
        "parley queue " + verb + " tasks.db 17 18",
        [args, verb](runtime& run) { return change(run, *args, verb); })
        ->add_option("N", args->numbers, "their numbers")
        ->required()
        ->option_text(" ");
  }
  add("export", "print each task with its body, as a JSON object on a line",
      "parley queue export --salvage tasks.db > saved",
      [args](runtime& run) { return export_all(run, *args); })
      ->add_flag("--salvage", args->salvage, "what can be read of a damaged file");
  add_example(command,
              "parley queue list tasks.db --state dead\n"
              "  parley queue retry tcp://localhost:5558 17");
  return [verbs](runtime& run) {
    for (const auto& [verb, chosen] : *verbs) {
      if (verb->parsed()) {
        return chosen(run);
      }
    }
    return exit_code::usage;
  };
}
