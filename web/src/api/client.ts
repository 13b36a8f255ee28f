// The client of longhaul's API: adds the token, reads errors, and never waits for ever.
//
// The token lives in sessionStorage: gone with the tab, sent in a header, never in a URL.

// A refusal or a failure, as the server told it. `status` 0: no answer.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = "",
    readonly field = "", // Of the form that was sent, where the server named one.
  ) {
    super(message);
  }
}

const kTokenKey = "longhaul.token";
const kWait = 30_000;
const kAheadMs = 5_000;

export interface TokenPlace {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

// Error bodies: {"error":{"code","message","field"}}. Whatever else came is shown as it is, cut.
export function readError(status: number, text: string): ApiError {
  try {
    const body = JSON.parse(text);
    const told = typeof body.error === "object" && body.error ? body.error : body;
    const message = typeof told.message === "string" ? told.message : body.error;
    if (typeof message === "string" && message !== "") {
      return new ApiError(status, message, String(told.code ?? ""), String(told.field ?? ""));
    }
  } catch {
    // No JSON: a proxy's page, or plain text.
  }
  const plain = text.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim().slice(0, 300);
  return new ApiError(status, plain || `the server answered ${status}`);
}

export class Client {
  // Called when a request was refused for want of a (good) token.
  onUnauthorized: () => void = () => {};
  private readonly begun = new Map<string, { at: number; answer: Promise<unknown>; value?: unknown }>();

  constructor(
    private readonly base: string, // Of the page, with a slash at the end.
    private readonly tokens: TokenPlace,
    private readonly send: typeof fetch = (input, init) => fetch(input, init),
  ) {}

  get token(): string {
    return this.tokens.getItem(kTokenKey) ?? "";
  }
  set token(token: string) {
    this.begun.clear();
    if (token) this.tokens.setItem(kTokenKey, token);
    else this.tokens.removeItem(kTokenKey);
  }

  get<T>(path: string, query: Record<string, string | number | undefined> = {}): Promise<T> {
    const whole = withQuery(path, query);
    const begun = this.begun.get(whole);
    this.begun.delete(whole);
    if (begun && performance.now() - begun.at < kAheadMs) return begun.answer as Promise<T>;
    return this.request<T>("GET", whole);
  }
  // Asks for what will be got in a moment: the first `get` of the same has this answer. Ends when it
  // has come, or has failed.
  ahead(path: string, query: Record<string, string | number | undefined> = {}): Promise<void> {
    const whole = withQuery(path, query);
    const begun: { at: number; answer: Promise<unknown>; value?: unknown } = {
      at: performance.now(),
      answer: this.request("GET", whole),
    };
    this.begun.set(whole, begun);
    return begun.answer.then(
      (value) => void (begun.value = value),
      () => {}, // Told to who gets it.
    );
  }
  // What was asked for ahead, where it has come already; `get` gives the same.
  arrived<T>(path: string, query: Record<string, string | number | undefined> = {}): T | null {
    const begun = this.begun.get(withQuery(path, query));
    return begun && performance.now() - begun.at < kAheadMs ? ((begun.value as T) ?? null) : null;
  }
  post<T>(path: string, body?: unknown): Promise<T> {
    return this.request<T>("POST", path, body ?? {});
  }
  delete<T>(path: string): Promise<T> {
    return this.request<T>("DELETE", path);
  }

  // The answer's body as it comes; for events.
  async open(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { token } = this;
    const answer = await this.fetch(path, {
      headers: this.headers({ Accept: "text/event-stream" }),
      cache: "no-store",
      signal,
    });
    if (!answer.ok || !answer.body) throw await this.refused(answer, token);
    return answer.body;
  }

  private async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { token } = this;
    const answer = await this.fetch(path, {
      method,
      headers: this.headers(
        body === undefined ? {} : { "Content-Type": "application/json" },
      ),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(kWait),
    });
    if (!answer.ok) throw await this.refused(answer, token);
    const text = await answer.text();
    if (text === "") return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new ApiError(answer.status, "the answer is no JSON: is this longhaul's address?");
    }
  }

  private headers(more: Record<string, string>): Record<string, string> {
    return this.token ? { ...more, Authorization: `Bearer ${this.token}` } : more;
  }

  private async fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await this.send(this.base + path, init);
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError") {
        throw new ApiError(0, `the server did not answer within ${kWait / 1000} s`, "Timeout");
      }
      if (init.signal?.aborted) throw error;
      throw new ApiError(0, "the server cannot be reached", "Unreachable");
    }
  }

  private async refused(answer: Response, token: string): Promise<ApiError> {
    const error = readError(answer.status, await answer.text().catch(() => ""));
    // A late word about a token that was since replaced says nothing of the new one.
    if (answer.status === 401 && token === this.token) this.onUnauthorized();
    return error;
  }
}

export function withQuery(path: string, query: Record<string, string | number | undefined>) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  if (pairs.length === 0) return path;
  return `${path}?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}`;
}

// -1, 0 or 1, as by semantic versioning without what follows a dash. A garbled one is the oldest.
export function compareVersions(a: string, b: string): number {
  const parts = (text: string) =>
    (/^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text)?.slice(1) ?? []).map((part) => Number(part ?? 0));
  const [left, right] = [parts(a), parts(b)];
  for (let at = 0; at < 3; ++at) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}
