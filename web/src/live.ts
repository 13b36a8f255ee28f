// Live: whether the server is there, who we are to it, and what it tells of its own accord.
//
// One stream for the whole page. When nothing has come for 25 s (a heartbeat comes every 10) or the
// connection breaks, the server is lost: everybody is told since when, and it is tried again. What
// was missed meanwhile is not guessed: `generation` grows, and pages load anew.

import { ApiError, Client, compareVersions } from "./api/client";
import { retryDelay, SseParser } from "./api/sse";
import type { Version } from "./api/types";

export const kVersionNeeded = "0.3.0";
export const kApiNeeded = 1;
const kSilenceMax = 25_000;

export type Phase = "connecting" | "sign-in" | "too-old" | "live" | "lost";

export interface LiveState {
  phase: Phase;
  version: Version | null;
  heard: number; // When something last came, by our clock; 0: never.
  reason: string; // Why it is lost, or why the token was refused.
  nextTry: number; // When it is tried again.
  generation: number;
  restartedAs: string; // The server's version, where it is another one than when the page was loaded.
}

type Listener = (data: unknown) => void;

export class Live {
  state: LiveState = {
    phase: "connecting",
    version: null,
    heard: 0,
    reason: "",
    nextTry: 0,
    generation: 0,
    restartedAs: "",
  };
  private watchers = new Set<() => void>();
  private listeners = new Map<string, Set<Listener>>();
  private abort: AbortController | null = null;
  private wake: (() => void) | null = null;
  private run = 0;

  constructor(private readonly client: Client) {
    client.onUnauthorized = () => {
      if (this.state.phase !== "sign-in") {
        this.stop();
        this.set({ phase: "sign-in", reason: client.token ? "The server refuses this token." : "" });
        client.token = "";
      }
    };
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }
  on(event: string, listener: Listener): () => void {
    const set = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, set.add(listener));
    return () => set.delete(listener);
  }

  start() {
    this.stop();
    void this.follow(this.run);
  }
  tryNow() {
    this.wake?.();
  }
  signIn(token: string) {
    this.client.token = token;
    this.set({ phase: "connecting", reason: "", version: null });
    this.start();
  }
  signOut() {
    this.client.token = "";
    this.stop();
    this.set({ phase: "sign-in", reason: "", version: null });
  }

  private stop() {
    ++this.run;
    this.abort?.abort();
    this.wake?.();
  }

  private set(change: Partial<LiveState>) {
    this.state = { ...this.state, ...change };
    for (const watcher of this.watchers) watcher();
  }

  private async follow(run: number) {
    for (let tries = 0; run === this.run; ++tries) {
      try {
        const version = await this.client.get<Version>("v1/version");
        if (run !== this.run) return;
        if (!version?.version || !(version.api >= kApiNeeded)) {
          return this.set({ phase: "too-old", version: version ?? null });
        }
        const before = this.state.version;
        const restartedAs =
          before && before.version !== version.version ? version.version : this.state.restartedAs;
        this.set({
          phase: "live",
          version,
          heard: Date.now(),
          generation: this.state.generation + 1,
          restartedAs,
        });
        await this.read(run, () => (tries = 0));
        if (run === this.run) this.lose("the connection was closed");
      } catch (error) {
        if (run !== this.run) return;
        if (error instanceof ApiError && error.status === 404 && this.state.phase !== "live") {
          return this.set({ phase: "too-old" });
        }
        this.lose(error instanceof Error ? error.message : String(error));
      }
      const delay = retryDelay(tries);
      this.set({ nextTry: Date.now() + delay });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, delay);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = null;
    }
  }

  private lose(reason: string) {
    this.set({ phase: "lost", reason });
  }

  private async read(run: number, onData: () => void) {
    const abort = new AbortController();
    this.abort = abort;
    let silent = false;
    let timer = 0;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = true;
        abort.abort();
      }, kSilenceMax) as unknown as number;
    };
    heard();
    try {
      const body = await this.client.open("v1/stream", abort.signal);
      const reader = body.getReader();
      const decoder = new TextDecoder();
      const parser = new SseParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || run !== this.run) return;
        heard();
        onData();
        this.state.heard = Date.now();
        for (const event of parser.push(decoder.decode(value, { stream: true }))) {
          this.emit(event.event, event.data);
        }
      }
    } catch (error) {
      if (silent) throw new Error(`nothing was heard for ${kSilenceMax / 1000} s`);
      throw error;
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  private emit(event: string, text: string) {
    let data: unknown;
    try {
      data = JSON.parse(text);
    } catch {
      return; // From a version that tells something in another way: the next load has it.
    }
    for (const listener of this.listeners.get(event) ?? []) listener(data);
  }
}

// Whether a server of `version` can serve this page.
export function isTooOld(version: string): boolean {
  return compareVersions(version, kVersionNeeded) < 0;
}
