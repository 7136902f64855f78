// SPDX-License-Identifier: MPL-2.0
//
// The rim of one client: moves bytes between its socket and its session, and watches the clock.
// One read and one write are under way at a time; all output that has come together goes in one
// write.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <string>

#include "stomp/router.hpp"

namespace parley::stomp {

class connection final : public router::client, public std::enable_shared_from_this<connection> {
 public:
  // closed is called once, when nothing of the connection is left but what holds it.
  connection(router& owner, boost::asio::ip::tcp::socket socket, std::chrono::milliseconds linger,
             std::function<void(connection&)> closed);

  void start() { attend(); }
  // ERROR, then the end within the linger time.
  void shut_down(std::string_view sentence);
  // At once.
  void drop();

  void attend() override;

 private:
  using error_code = boost::system::error_code;

  void read();
  void drain();
  void write();
  void written(std::size_t count);
  void hang_up();
  void watch();

  router& router_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  std::chrono::milliseconds linger_;
  std::function<void(connection&)> closed_;
  std::size_t read_size_;
  std::string writing_;
  std::size_t written_ = 0;
  clock::time_point watched_ = clock::time_point::max();  // when the timer goes off
  clock::time_point end_ = clock::time_point::max();      // of lingering
  bool reads_ = false;
  bool writes_ = false;
  bool hung_up_ = false;
  bool open_ = true;
};

}  // namespace parley::stomp
