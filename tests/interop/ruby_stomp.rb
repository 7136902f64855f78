# SPDX-License-Identifier: MPL-2.0
# A STOMP client on Ruby's stomp gem: ruby_stomp.rb PORT VERSION SCENARIO. Prints what it sees.
require "stomp"
require "timeout"

port, version, scenario = ARGV

$stdout.sync = true

def connect(port, version, more = {})
  # The gem speaks 1.0 when it is not told otherwise.
  headers = version == "1.0" ? {} : { "accept-version" => version, "host" => "localhost" }
  Stomp::Connection.new(hosts: [{ login: "anyone", passcode: "anything",
                                  host: "127.0.0.1", port: port.to_i }],
                        reliable: false, connect_headers: headers.merge(more))
end

def show(frame)
  case frame.command
  when "MESSAGE" then puts "MESSAGE #{frame.headers['destination']} #{frame.body}"
  when "RECEIPT" then puts "RECEIPT #{frame.headers['receipt-id']}"
  else puts "#{frame.command} #{frame.headers['message']}"
  end
  frame
end

# ACK and NACK are told the message in another way in each version.
def settle(client, word, frame)
  case client.protocol
  when "1.2" then client.send(word, frame.headers["ack"])
  when "1.1" then client.send(word, frame.headers["message-id"],
                              "subscription" => frame.headers["subscription"])
  else client.send(word, frame.headers["message-id"])
  end
end

Timeout.timeout(20) do
  client = connect(port, version)
  puts "CONNECTED #{client.protocol}"
  case scenario
  when "topic"
    client.subscribe("/topic/news.*", { "receipt" => "subscribed" }, "1")
    show client.receive
    show client.receive
  when "queue"
    client.subscribe("/queue/q", { "ack" => "client" }, "1")
    %w[1 2 3].each { |body| client.publish("/queue/q", body) }
    messages = Array.new(3) { show client.receive }
    settle(client, :ack, messages[1])
    client.disconnect
    client = connect(port, version)
    client.subscribe("/queue/q", {}, "1")
    show client.receive # what was not acknowledged
  when "nack"
    client.subscribe("/queue/q", { "ack" => "client-individual" }, "1")
    client.publish("/queue/q", "work")
    settle(client, :nack, show(client.receive))
    settle(client, :ack, show(client.receive))
  when "transaction"
    client.subscribe("/queue/q", {}, "1")
    client.begin("t")
    client.publish("/queue/q", "in the transaction", "transaction" => "t")
    client.begin("u")
    client.publish("/queue/q", "never", "transaction" => "u")
    client.publish("/queue/q", "outside")
    show client.receive
    client.abort("u")
    client.commit("t")
    show client.receive
  when "service"
    client.subscribe("/temp-queue/answers", {}, "1")
    client.publish("/service/add", "[2, 3]", "reply-to" => "/temp-queue/answers",
                                             "content-type" => "application/json")
    puts "REPLY #{client.receive.body}"
  when "error"
    client.publish("/nowhere", "x", "receipt" => "r")
    puts "ERROR for #{client.receive.headers['receipt-id']}"
  end
  client.disconnect unless scenario == "error"
end
