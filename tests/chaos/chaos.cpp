// SPDX-License-Identifier: MPL-2.0
//
// Sources and workers are killed, stopped and resumed at random while tasks with a journal flow. In
// the end every task whose push returned must have been done, with its effect just once, and the
// dead letters must be just those whose handler always throws: they have no effect.
//
//   chaos [--tasks N] [--workers N] [--seed S] [--pause MICROSECONDS] [--limit SECONDS]
//
// pause: so long every task takes, so that few tasks are enough for many kills.
//
// Everybody is a process of its own. A source writes down what it pushed with one write() a task,
// so that what was written stays, however it is killed; a worker's effects go with its notes of
// what was done. The same seed gives the same kills, as far as the machine's timing lets it.
#include <parley/database.hpp>
#include <parley/error.hpp>
#include <parley/pipeline.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

// Which task: the source's run, and a number in that.
using task_name = std::uint64_t;
constexpr unsigned run_shift = 40;

// One of so many tasks makes each handler throw.
constexpr std::uint64_t poison_each = 1000;
bool is_poison(task_name name) { return (name * 0x9e3779b97f4a7c15U >> 20) % poison_each == 0; }

constexpr std::size_t pushing_threads = 16;

[[noreturn]] void fail(const std::string& why) { throw std::runtime_error{why}; }

// A file of names, which outlives whoever writes it.
class ledger {
 public:
  explicit ledger(const fs::path& path)
      : fd_{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)} {
    if (fd_ < 0) {
      fail("cannot write " + path.string());
    }
  }
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;
  ~ledger() { ::close(fd_); }

  void add(task_name name) const {
    if (::write(fd_, &name, sizeof name) != sizeof name) {
      fail("cannot write a ledger");
    }
  }

 private:
  int fd_;
};

std::vector<task_name> read_ledgers(const fs::path& directory, const std::string& kind) {
  std::vector<task_name> all;
  for (const auto& each : fs::directory_iterator{directory}) {
    if (each.path().extension() != "." + kind) {
      continue;
    }
    std::ifstream file{each.path(), std::ios::binary};
    for (task_name name = 0; file.read(reinterpret_cast<char*>(&name), sizeof name);) {
      all.push_back(name);
    }
  }
  return all;
}

std::uint64_t count_accepted(const fs::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& each : fs::directory_iterator{directory}) {
    if (each.path().extension() == ".accepted") {
      bytes += each.file_size();
    }
  }
  return bytes / sizeof(task_name);
}

parley::endpoint place(const fs::path& directory) {
  return parley::endpoint{"ipc://" + (directory / "tasks").string()};
}

// The roles.

// Pushes until there are enough, then waits until all is done, and writes down the dead letters.
void be_source(const fs::path& directory, std::uint64_t run, std::uint64_t wanted) {
  parley::context context;
  parley::source tasks{context,
                       place(directory),
                       {.limit = 2000,  // so that tasks are pushed until shortly before the end
                        .attempts = 20,
                        .retry_delay = 1ms,
                        .retry_delay_max = 5ms,
                        .dead_letters = 1'000'000,
                        .journal = directory / "tasks.db",
                        .survives = parley::durability::kill,
                        .heartbeat = 100ms,
                        .heartbeat_timeout = 1000ms}};
  std::atomic<std::uint64_t> next{1};
  std::atomic<std::uint64_t> accepted{count_accepted(directory)};
  std::vector<std::jthread> threads;
  for (std::size_t count = 0; count < pushing_threads; ++count) {
    threads.emplace_back([&, count] {
      const ledger mine{directory /
                        (std::to_string(run) + "-" + std::to_string(count) + ".accepted")};
      while (accepted.fetch_add(1) < wanted) {
        const task_name name = run << run_shift | next.fetch_add(1);
        tasks.push(parley::frame{&name, sizeof name});
        mine.add(name);
      }
    });
  }
  threads.clear();
  while (!tasks.wait_until_done(1s)) {
  }
  const ledger dead{directory / (std::to_string(run) + ".dead")};
  for (const parley::dead_letter& each : tasks.dead_letters()) {
    task_name name = 0;
    std::memcpy(&name, each.body.data(), sizeof name);
    dead.add(name);
  }
  std::ofstream{directory / "finished"} << tasks.statistics().accepted << '\n';
}

void be_worker(const fs::path& directory, std::chrono::microseconds pause) {
  parley::context context;
  parley::worker worker{context,
                        place(directory),
                        {.once = directory / "done.db",
                         .on_failure = [](const parley::task&, const std::exception&) {},
                         .heartbeat_timeout = 1000ms}};
  const auto work = [&](const parley::frame& body, parley::done_transaction& together) {
    task_name name = 0;
    std::memcpy(&name, body.data(), sizeof name);
    std::this_thread::sleep_for(pause);  // the work
    parley::database& file = together.file();
    file.execute("CREATE TABLE IF NOT EXISTS effect (name INTEGER)");
    file.prepare("INSERT INTO effect VALUES (?)").run(name);
    if (is_poison(name)) {
      throw std::runtime_error{"poison"};
    }
  };
  std::jthread second{[&] { worker.run(work); }};
  worker.run(work);
}

// The director.

struct arguments {
  std::uint64_t tasks = 20'000;
  std::size_t workers = 3;
  std::uint64_t seed = 1;
  std::chrono::microseconds pause{0};
  std::chrono::seconds limit{120};
};

class company {
 public:
  company(const char* program, const arguments& args, fs::path directory)
      : program_{program}, args_{args}, directory_{std::move(directory)}, random_{args.seed} {}
  company(const company&) = delete;
  company& operator=(const company&) = delete;
  ~company() {
    for (const auto& [role, pid] : running_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }

  void run() {
    const auto end = clock_type::now() + args_.limit;
    start("source");
    for (std::size_t count = 0; count < args_.workers; ++count) {
      start("worker" + std::to_string(count));
    }
    while (!fs::exists(directory_ / "finished")) {
      if (clock_type::now() > end) {
        fail("not done in time");
      }
      const bool is_calm = count_accepted(directory_) >= args_.tasks;
      std::this_thread::sleep_for(std::chrono::milliseconds{50 + pick(150)});
      resume_some();
      if (!is_calm) {
        harm();
      }
      see_to_ends();
    }
  }

  [[nodiscard]] const std::map<std::string, int>& harms() const noexcept { return harms_; }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  void start(const std::string& role) {
    const std::string run = std::to_string(++runs_);
    const std::string directory = directory_.string();
    const bool is_source = role == "source";
    const std::string how =
        std::to_string(is_source ? args_.tasks : static_cast<std::uint64_t>(args_.pause.count()));
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execl(program_, program_, is_source ? "--be-source" : "--be-worker", directory.c_str(),
              run.c_str(), how.c_str(), nullptr);
      ::_exit(127);
    }
    running_[role] = pid;
  }

  void harm() {
    const std::uint64_t which = pick(args_.workers + 1);
    const std::string role = which == 0 ? "source" : "worker" + std::to_string(which - 1);
    if (stopped_.contains(role)) {
      return;
    }
    if (pick(4) == 0) {
      ::kill(running_.at(role), SIGSTOP);
      // Sometimes for longer than anybody waits for a sign of life.
      stopped_[role] = clock_type::now() + std::chrono::milliseconds{pick(2000)};
      ++harms_["stopped " + role.substr(0, 6)];
    } else {
      ::kill(running_.at(role), SIGKILL);
      ::waitpid(running_.at(role), nullptr, 0);
      ++harms_["killed " + role.substr(0, 6)];
      start(role);
    }
  }

  void resume_some() {
    const auto now = clock_type::now();
    std::erase_if(stopped_, [&](const auto& each) {
      if (now < each.second) {
        return false;
      }
      ::kill(running_.at(each.first), SIGCONT);
      return true;
    });
  }

  // Nobody may end but the source that has finished.
  void see_to_ends() {
    for (auto& [role, pid] : running_) {
      int status = 0;
      if (::waitpid(pid, &status, WNOHANG) == pid && !fs::exists(directory_ / "finished")) {
        const std::string gone = role;
        running_.erase(role);
        fail(gone + " ended by itself, with status " + std::to_string(status));
      }
    }
  }

  const char* program_;
  const arguments args_;
  const fs::path directory_;
  std::mt19937_64 random_;
  std::uint64_t runs_ = 0;
  std::map<std::string, pid_t> running_;
  std::map<std::string, clock_type::time_point> stopped_;
  std::map<std::string, int> harms_;
};

void judge(const fs::path& directory, std::uint64_t wanted) {
  const auto accepted = read_ledgers(directory, "accepted");
  std::unordered_map<task_name, std::int64_t> done;
  {
    parley::database effects{directory / "done.db", parley::database::access::read};
    auto select = effects.prepare("SELECT name, count(*) FROM effect GROUP BY name");
    for (auto row = select.query(); row.next();) {
      done[static_cast<task_name>(row.number(0))] = row.number(1);
    }
  }
  std::unordered_set<task_name> dead;
  for (const task_name each : read_ledgers(directory, "dead")) {
    dead.insert(each);
  }
  std::size_t again = 0;
  for (const auto& [name, times] : done) {
    again += times > 1 ? 1 : 0;
    if (is_poison(name)) {
      fail("poison was done");
    }
  }
  std::size_t lost = 0;
  std::size_t poison = 0;
  for (const task_name each : accepted) {
    poison += is_poison(each) ? 1 : 0;
    lost += is_poison(each) ? (dead.contains(each) ? 0 : 1) : (done.contains(each) ? 0 : 1);
  }
  std::size_t wrong = 0;
  for (const task_name each : dead) {
    wrong += is_poison(each) ? 0 : 1;
  }
  std::cout << accepted.size() << " accepted, " << done.size() << " done, " << again
            << " of them more than once, " << dead.size() << " dead letters, " << lost << " lost, "
            << wrong << " wrongly dead\n";
  if (lost != 0 || wrong != 0) {
    fail("tasks were lost");
  }
  if (again != 0) {
    fail("tasks were done again");
  }
  if (accepted.size() < wanted || poison == 0) {
    fail("there was too little to see");
  }
}

int direct(const char* program, const arguments& args) {
  std::string pattern = (fs::temp_directory_path() / "parley-chaos-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    fail("cannot make a directory");
  }
  const fs::path directory{pattern};
  std::cout << "seed " << args.seed << ", " << args.tasks << " tasks" << std::endl;
  const auto start = clock_type::now();
  {
    company all{program, args, directory};
    all.run();
    for (const auto& [what, times] : all.harms()) {
      std::cout << what << ' ' << times << " times\n";
    }
  }
  const std::chrono::duration<double> taken = clock_type::now() - start;
  std::cout << "in " << taken.count() << " s\n";
  judge(directory, args.tasks);
  fs::remove_all(directory);
  return 0;
}

}  // namespace

int main(int argc, char* argv[]) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 4 && words[0] == "--be-source") {
      be_source(words[1], std::stoull(words[2]), std::stoull(words[3]));
      return 0;
    }
    if (words.size() == 4 && words[0] == "--be-worker") {
      be_worker(words[1], std::chrono::microseconds{std::stoull(words[3])});
      return 0;
    }
    arguments args;
    for (std::size_t at = 0; at + 1 < words.size(); at += 2) {
      const std::uint64_t value = std::stoull(words[at + 1]);
      if (words[at] == "--tasks") {
        args.tasks = value;
      } else if (words[at] == "--workers") {
        args.workers = value;
      } else if (words[at] == "--seed") {
        args.seed = value;
      } else if (words[at] == "--pause") {
        args.pause = std::chrono::microseconds{value};
      } else if (words[at] == "--limit") {
        args.limit = std::chrono::seconds{value};
      } else {
        fail("unknown word " + words[at]);
      }
    }
    return direct(argv[0], args);
  } catch (const std::exception& failure) {
    std::cerr << "chaos: " << failure.what() << '\n';
    return 1;
  }
}
