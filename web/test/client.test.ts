import { describe, expect, it } from "vitest";
import { ApiError, Client, compareVersions, readError, withQuery } from "../src/api/client";
import { retryDelay, SseParser } from "../src/api/sse";
import { Live } from "../src/live";
import { href, parseRoute } from "../src/route";

const encoder = new TextEncoder();

function place() {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
}
function json(body: unknown, status = 200) {
  return new Response(JSON.stringify(body), { status });
}
const kVersion = { version: "0.3.0", api: 1, site: "east-1", time: "", role: "operate", who: "t", token_needed: true, roles: [] };

describe("events", () => {
  const kText = ": hi\r\nevent: rules\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 7\ndata:x\n\nevent: nothing\n\n";
  const kEvents = [
    { event: "rules", data: '{"a":\n1}', id: "" },
    { event: "message", data: "x", id: "7" },
  ];
  // The network cuts where it likes, also between CR and LF.
  it("are the same however they are cut", () => {
    for (let first = 0; first <= kText.length; ++first) {
      const parser = new SseParser();
      const told = [...parser.push(kText.slice(0, first)), ...parser.push(kText.slice(first))];
      expect(told).toEqual(kEvents);
    }
    const parser = new SseParser();
    expect([...kText].flatMap((character) => parser.push(character))).toEqual(kEvents);
  });
  // What sends without an end must not fill the memory.
  it("have a largest size", () => {
    const parser = new SseParser();
    expect(() => {
      for (let at = 0; at < 5000; ++at) parser.push("x".repeat(1000));
    }).toThrow();
  });
  it("are waited for longer and longer, and never too long", () => {
    expect(retryDelay(0, 1)).toBe(500);
    expect(retryDelay(3, 1)).toBe(4000);
    expect(retryDelay(50, 1)).toBe(15_000);
    expect(retryDelay(50, 0)).toBe(7_500);
  });
});

describe("the client", () => {
  // What was asked for ahead is got once: whoever asks again wants it new.
  it("gives what it asked for ahead to the first who gets it", async () => {
    let count = 0;
    const client = new Client("http://h/", place(), (async () => json({ count: ++count })) as typeof fetch);
    client.ahead("v1/rules", { limit: 100 });
    expect(client.arrived("v1/rules", { limit: 100 })).toBe(null);
    expect(await client.get("v1/rules", { limit: 5 })).toEqual({ count: 2 });
    expect(client.arrived("v1/rules", { limit: 100 })).toEqual({ count: 1 });
    expect(await client.get("v1/rules", { limit: 100 })).toEqual({ count: 1 });
    expect(client.arrived("v1/rules", { limit: 100 })).toBe(null);
    expect(await client.get("v1/rules", { limit: 100 })).toEqual({ count: 3 });
    client.ahead("v1/rules");
    client.token = "another";
    expect(await client.get("v1/rules")).toEqual({ count: 5 });
  });
  it("does not hold against a token what was said of the one before", async () => {
    let refuse: (answer: Response) => void = () => {};
    const client = new Client("http://h/", place(), (() => new Promise<Response>((resolve) => (refuse = resolve))) as typeof fetch);
    let refused = 0;
    client.onUnauthorized = () => void ++refused;
    client.token = "old";
    const asked = client.get("v1/rules");
    client.token = "new";
    refuse(json({}, 401));
    await expect(asked).rejects.toMatchObject({ status: 401 });
    expect(refused).toBe(0);
  });
  it("sends the token in the header alone", async () => {
    let asked: [string, RequestInit] | undefined;
    const client = new Client("http://h/", place(), (async (url: string, init: RequestInit) => {
      asked = [url, init];
      return json({});
    }) as typeof fetch);
    client.token = "secret";
    await client.get("v1/parked", { rule: "a&b", cursor: undefined });
    expect(asked![0]).toBe("http://h/v1/parked?rule=a%26b");
    expect(new Headers(asked![1].headers).get("Authorization")).toBe("Bearer secret");
  });
  it("tells the field that the server named", () => {
    const error = readError(400, '{"error":{"code":"InvalidInput","message":"until: has passed","field":"until"}}');
    expect([error.status, error.message, error.code, error.field]).toEqual([400, "until: has passed", "InvalidInput", "until"]);
    expect(readError(400, '{"error":{"code":"X","message":"m","field":null}}').field).toBe("");
  });
  // A proxy answers with a page of its own: its text, not its code.
  it("makes something of any answer", () => {
    expect(readError(502, "<html><b>Bad</b> Gateway</html>").message).toBe("Bad Gateway");
    expect(readError(500, "").message).toBe("the server answered 500");
  });
  it("says that nobody answers", async () => {
    const client = new Client("http://h/", place(), (() => Promise.reject(new TypeError("x"))) as typeof fetch);
    await expect(client.get("v1/rules")).rejects.toMatchObject({ status: 0, code: "Unreachable" });
  });
  it("does not take a page for an answer", async () => {
    const client = new Client("http://h/", place(), (async () => new Response("<html>")) as typeof fetch);
    await expect(client.get("v1/rules")).rejects.toBeInstanceOf(ApiError);
  });
  it("leaves out what is empty", () => expect(withQuery("a", { b: "", c: undefined, d: 0 })).toBe("a?d=0"));
});

it("orders versions by number", () => {
  expect(compareVersions("0.10.0", "0.9.9")).toBe(1);
  expect(compareVersions("0.3.0-rc1", "0.3.0")).toBe(0);
  expect(compareVersions("garbled", "0.0.1")).toBe(-1);
});

describe("addresses", () => {
  it("come back whole, whatever a key holds", () => {
    const address = "east:b/a//b?c#d%/é";
    expect(parseRoute(href("object", [], { address })).query.address).toBe(address);
    expect(parseRoute(href("rules", ["a/b%"])).parts).toEqual(["a/b%"]);
    expect(parseRoute("").page).toBe("");
    expect(parseRoute("#/rules/%E0%A4%A").parts).toEqual(["%E0%A4%A"]);
  });
});

describe("live", () => {
  async function until(good: () => boolean) {
    for (let at = 0; at < 500 && !good(); ++at) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(good()).toBe(true);
  }
  function make(stream: () => Response, version: () => Response = () => json(kVersion)) {
    const client = new Client("http://h/", place(), (async (url: string) =>
      url.endsWith("version") ? version() : stream()) as typeof fetch);
    client.token = "t";
    return new Live(client);
  }
  it("gives events to who asked, and says when the server is lost", async () => {
    let end = () => {};
    const live = make(
      () =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(encoder.encode('event: rules\ndata: {"n":1}\n\nevent: rules\ndata: {{\n\n'));
              end = () => controller.close();
            },
          }),
        ),
    );
    const told: unknown[] = [];
    live.on("rules", (data) => told.push(data));
    live.start();
    await until(() => told.length === 1);
    expect(told).toEqual([{ n: 1 }]);
    expect(live.state.phase).toBe("live");
    end();
    await until(() => live.state.phase === "lost");
    // And when it is there again, all pages load anew.
    const before = live.state.generation;
    live.tryNow();
    await until(() => live.state.phase === "live" && live.state.generation > before);
    live.signOut();
  });
  it("asks for a token when the server does, and keeps no bad one", async () => {
    const live = make(() => json({}), () => json({ error: { code: "Unauthorized", message: "m", field: null } }, 401));
    live.start();
    await until(() => live.state.phase === "sign-in");
    expect(live.state.reason).not.toBe("");
  });
  it("knows a server that is too old", async () => {
    for (const version of [() => json({}, 404), () => json({ ...kVersion, api: 0 }), () => json({ version: "0.2.0" })]) {
      const live = make(() => json({}), version);
      live.start();
      await until(() => live.state.phase === "too-old");
    }
  });
});
