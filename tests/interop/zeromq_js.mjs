// SPDX-License-Identifier: MPL-2.0
// zeromq.js as a peer of ours: zeromq_js.mjs SCENARIO ...
// By hand, MessagePack-RPC:
//   request ENDPOINT CALL...   makes each call, '["add", [2, 3]]', after the reply to the one before
//   dealer ENDPOINT CALL...    makes all calls at once, the delimiter before each as REQ has it
//   reply                      serves, one request after the other
//   router                     serves, ten requests at a time, the last of them first
// And publish-subscribe:
//   subscribe ENDPOINT PREFIX COUNT    prints [topic, body, hexadecimal mark] of each message
//   publish TOPIC BODY                 publishes it again and again
// And plain pipelines, PLACE being where to connect to, or nothing, to bind:
//   push COUNT [PLACE]    sends "task 1", "task 2", ...
//   pull COUNT [PLACE]    prints what it receives
// A caller prints [error, result] for each of its calls, in their order. A server says where it is
// bound, and ends when its stdin does.
import { setTimeout } from "node:timers/promises";
import { decode, encode } from "@msgpack/msgpack";
import * as zmq from "zeromq";

const REQUEST = 0;
const RESPONSE = 1;
const bounded = { linger: 0, receiveTimeout: 20_000, sendTimeout: 20_000 };

function packCall(number, call) {
  const [method, parameters] = JSON.parse(call);
  return encode([REQUEST, number, method, parameters]);
}

function answer(body) {
  const [, number, method, parameters] = decode(body);
  const known = method === "add";
  return encode([
    RESPONSE,
    number,
    known ? null : `no method ${method}`,
    known ? parameters[0] + parameters[1] : null,
  ]);
}

async function bind(socket) {
  await socket.bind("tcp://127.0.0.1:*");
  console.error(`bound ${socket.lastEndpoint}`);
}

async function bindOrConnect(socket, place) {
  if (place) socket.connect(place);
  else await bind(socket);
}

const scenarios = {
  async request(endpoint, ...calls) {
    const socket = new zmq.Request(bounded);
    socket.connect(endpoint);
    for (const [number, call] of calls.entries()) {
      await socket.send(packCall(number, call));
      const [body] = await socket.receive();
      const [kind, replied, error, result] = decode(body);
      if (kind !== RESPONSE || replied !== number) throw new Error("not the reply to this call");
      console.log(JSON.stringify([error, result]));
    }
    socket.close();
  },

  async dealer(endpoint, ...calls) {
    const socket = new zmq.Dealer(bounded);
    socket.connect(endpoint);
    for (const [number, call] of calls.entries()) await socket.send(["", packCall(number, call)]);
    const replies = new Map();
    while (replies.size < calls.length) {
      const [delimiter, body] = await socket.receive();
      const [kind, number, ...reply] = decode(body);
      if (delimiter.length !== 0 || kind !== RESPONSE || replies.has(number))
        throw new Error("no reply, or a second one");
      replies.set(number, reply);
    }
    for (const number of calls.keys()) console.log(JSON.stringify(replies.get(number)));
    socket.close();
  },

  async reply() {
    const socket = new zmq.Reply();
    await bind(socket);
    for await (const [body] of socket) await socket.send(answer(body));
  },

  async router() {
    const socket = new zmq.Router();
    await bind(socket);
    let waiting = [];
    for await (const frames of socket) {
      // What has no delimiter is no request (RFC 28).
      if (!frames.some((frame) => frame.length === 0)) continue;
      waiting.push(frames);
      if (waiting.length < 10) continue;
      for (const request of waiting.reverse()) {
        // Whatever the client has before the delimiter comes back to it; frames after the body are
        // for servers that know them.
        const body = 1 + request.findIndex((frame) => frame.length === 0);
        await socket.send([...request.slice(0, body), answer(request[body])]);
      }
      waiting = [];
    }
  },

  async subscribe(endpoint, prefix, count) {
    const socket = new zmq.Subscriber({ linger: 0, receiveTimeout: 20_000 });
    socket.connect(endpoint);
    socket.subscribe(prefix);
    for (let left = Number(count); left > 0; left--) {
      const [topic, body, mark] = await socket.receive();
      console.log(JSON.stringify([String(topic), String(body), mark.toString("hex")]));
    }
    socket.close();
  },

  async publish(topic, body) {
    const socket = new zmq.Publisher();
    await bind(socket);
    // It does not know who is there.
    for (;;) {
      await socket.send([topic, body]);
      await setTimeout(10);
    }
  },

  async push(count, place) {
    const socket = new zmq.Push({ linger: 20_000, sendTimeout: 20_000 });
    await bindOrConnect(socket, place);
    for (let number = 1; number <= Number(count); number++) await socket.send(`task ${number}`);
    socket.close();
    await new Promise(() => {}); // what was sent leaves; the end of stdin is ours
  },

  async pull(count, place) {
    const socket = new zmq.Pull({ receiveTimeout: 20_000 });
    await bindOrConnect(socket, place);
    for (let left = Number(count); left > 0; left--) {
      const [body, ...rest] = await socket.receive();
      if (rest.length !== 0) throw new Error("more than a body");
      console.log(String(body));
    }
    socket.close();
  },
};

const [scenario, ...words] = process.argv.slice(2);
process.stdin.on("end", () => process.exit()).resume();
await scenarios[scenario](...words);
process.exit();
