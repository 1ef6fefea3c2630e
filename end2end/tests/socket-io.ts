// The stock Socket.IO clients from npm, from the 2.x that the tutorial uses to 4.x, and helpers to wait for them.

import { type Message } from "./baro";
import { once, type EventEmitter } from "node:events";

export const VERSIONS = ["2.3", "2.5", "3", "4"] as const;
export type Version = (typeof VERSIONS)[number];

export const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

type Ack = { id: string; channel: string; time: string; duplicate: boolean; cursor?: string; error?: { code: string } };

/** The part of the client's interface that all versions have. */
export interface Client {
  id?: string;
  connected: boolean;
  recovered?: boolean;
  io: { engine: { id: string; transport: { name: string }; close(): void }; opts: Record<string, unknown> };
  on(event: string, listener: (...all: any[]) => void): this;
  once(event: string, listener: (...all: any[]) => void): this;
  emit(event: string, ...all: unknown[]): this;
  send(...all: unknown[]): this;
  connect(): this;
  disconnect(): this;
}

/** Returns the `io` function of a version. */
export function io(version: Version): (url: string, options?: object) => Client {
  const library = require(`socket.io-client-${version}`);
  return library.io ?? library;
}

export function isOld(version: Version) {
  return version.startsWith("2");
}

/** Waits for an event. Rejects after 15 seconds. */
export function heard(client: Client, event: string): Promise<any> {
  return once(client as unknown as EventEmitter, event, { signal: AbortSignal.timeout(15_000) }).then(([first]) => first);
}

/** Emits an event and waits for its acknowledgement. Rejects after 15 seconds. */
export function ask(client: Client, event: string, ...all: unknown[]): Promise<Ack> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no acknowledgement of ${event}`)), 15_000);
    client.emit(event, ...all, (answer: Ack) => {
      clearTimeout(late);
      resolve(answer);
    });
  });
}

/** Collects the messages of a client and waits for a number of them. */
export class Inbox {
  readonly messages: Message[] = [];
  private readonly waiting: { count: number; resolve: () => void }[] = [];

  constructor(client: Client) {
    client.on("message", (message: Message) => this.add(message));
  }

  add(message: Message) {
    this.messages.push(message);
    for (const { resolve } of this.waiting.filter(({ count }) => this.messages.length >= count)) resolve();
  }

  async has(count: number, patience = 30_000) {
    if (this.messages.length >= count) return;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${this.messages.length} of ${count} messages`)), patience);
      this.waiting.push({ count, resolve: () => (clearTimeout(late), resolve()) });
    });
  }

  get ids() {
    return this.messages.map((message) => message.id);
  }

  get bodies() {
    return this.messages.map((message) => message.body);
  }
}
