// Made-up answers of the API, for working on the pages and for testing them without a server. They
// are never part of the build. What is asked to change does change, so that forms can be tried.

import type { Failure, MigrationRun, Parked, Rule, Target } from "../src/api/types.ts";

const kMinute = 60_000;
const now = () => Date.now();
export const iso = (ago = 0) => new Date(now() - ago).toISOString();

function target(address: string, change: Partial<Target> = {}): Target {
  return {
    name: address.replace(/^[^:]*:/, "").replaceAll("/", "-").replace(/-$/, ""),
    address,
    state: "active",
    paused_since: null,
    paused_until: null,
    health: "ok",
    reason: null,
    archives_waiting: 1,
    objects_per_second: 41.5,
    bytes_per_second: 5.1e6,
    applied: 1_204_318,
    applied_bytes: 880e9,
    equal: 4,
    superseded: 17,
    conflicts: 0,
    parked: 0,
    parked_more: false,
    lag_seconds: 3.2,
    lag_p50_seconds: 2.9,
    lag_p99_seconds: 8.1,
    lag_max_seconds: 9,
    lag_objects: 5000,
    oldest_pending_key: "2026/11/24/a.log",
    open_since: null,
    open_reason: null,
    missed_threshold: 0,
    reached_after_threshold: 0,
    backup: false,
    ...change,
  };
}

function rule(id: string, source: string, targets: Target[], change: Partial<Rule> = {}): Rule {
  return {
    id,
    state: "active",
    paused_since: null,
    paused_until: null,
    health: "ok",
    reason: null,
    source,
    processes: 2,
    sources: 1,
    keys_pending: 12,
    oldest_pending_key: "2026/11/24/a.log",
    hints_kept: false,
    lag_seconds: 3.2,
    lag_p50_seconds: 2.9,
    lag_p99_seconds: 8.1,
    lag_max_seconds: 9,
    objects_per_second: 41.5,
    bytes_per_second: 5.1e6,
    since: iso(20 * 86_400_000),
    archives: 2100,
    object_bytes: 880e9,
    plain_bytes: 880e9,
    sent_bytes: 206e9,
    saved_bytes: 674e9,
    ratio: 880 / 206,
    saved_money: 12.55,
    failures: 2,
    parked: 0,
    parked_more: false,
    deletes_held: 0,
    levels: [],
    troubles: {},
    targets,
    ...change,
  };
}

const kRefused = "PutObject: connect to 127.0.0.1:9002: connection refused";

export function makeWorld() {
  const rules = [
    rule("app-logs", "east:app-logs/2026/", [
      target("west:app-logs-copy/2026/"),
      target("south:app-logs-copy/", { lag_seconds: 1.4, objects_per_second: 40.2 }),
    ], {
      levels: [
        { kind: "text", level: 9, why: "a GiB costs least at it: $0.0061", packed_bytes: 61e9 },
        { kind: "json", level: 6, why: "a GiB costs least at it: $0.0043", packed_bytes: 12e9 },
      ],
    }),
    rule(
      "billing-exports",
      "east:billing/exports/",
      [
        target("west:billing-copy/", {
          health: "bad",
          reason: `left alone until a probe succeeds: ${kRefused}`,
          open_since: iso(4 * kMinute),
          open_reason: kRefused,
          lag_seconds: 251,
          objects_per_second: 0,
          bytes_per_second: 0,
          archives_waiting: 14,
        }),
      ],
      {
        health: "bad",
        reason: `target billing-copy is left alone: ${kRefused}`,
        lag_seconds: 251,
        keys_pending: 3120,
        objects_per_second: 0,
        bytes_per_second: 0,
        failures: 38,
      },
    ),
    rule("images", "east:images/", [target("west:images-copy/", { parked: 3, health: "warn", reason: "3 keys are parked" })], {
      health: "warn",
      reason: "3 keys are parked",
      parked: 3,
      lag_seconds: 0,
      keys_pending: 0,
      plain_bytes: 51e9,
      sent_bytes: 50.4e9,
      saved_bytes: 0.6e9,
      saved_money: 0.011,
      oldest_pending_key: null,
    }),
    rule("metrics", "east:metrics/", [target("south:metrics-copy/", { lag_seconds: 0, archives_waiting: 0, oldest_pending_key: null })], {
      lag_seconds: 0,
      keys_pending: 0,
      oldest_pending_key: null,
      failures: 0,
    }),
    rule("nightly-dumps", "east:dumps/", [target("west:dumps-vault/", { state: "paused", health: "off", backup: true, paused_since: iso(90 * kMinute) })], {
      state: "paused",
      health: "off",
      paused_since: iso(90 * kMinute),
      keys_pending: 44,
      hints_kept: true,
      objects_per_second: 0,
      bytes_per_second: 0,
      lag_p50_seconds: null,
      lag_p99_seconds: null,
      lag_max_seconds: null,
      sent_bytes: 0,
      plain_bytes: 0,
      ratio: null,
    }),
  ];
  const parked: Parked[] = ["2026/a//b.png", "2026/cover\u200b.png", "raw/IMG_2210.cr3"].map((key, at) => ({
    rule: "images",
    target: at < 2 ? "images-copy" : null,
    key,
    archive: "01KAQ6H7V2M7N0D4B6YZ3J8WQK",
    op: "put",
    reason:
      at === 0
        ? "the store hides this key: GET of a//b.png gives a/b.png"
        : at === 1
          ? "PutObject 403 AccessDenied, request 4N8Q"
          : "GetObject 403 InvalidObjectState: the object is archived (GLACIER); restore it first",
    when: iso((at + 1) * 7 * kMinute),
    since: iso((at + 1) * 47 * kMinute),
    retried: at === 1 ? iso(kMinute) : null,
  }));
  const run = (id: string, change: Partial<MigrationRun>): MigrationRun => ({
    id,
    state: "running",
    source: "east:archive-2019/",
    target: "west:archive/2019/",
    started: iso(42 * kMinute),
    started_by: "web-1",
    starts: 1,
    finished: null,
    listing: true,
    listed: 1_482_000,
    listed_bytes: 9.1e12,
    equal: 81_200,
    copied: 610_411,
    copied_bytes: 3.7e12,
    running: 240,
    running_bytes: 41e9,
    pending: 790_147,
    pending_bytes: 5.3e12,
    failed: 2,
    gone: 5,
    workers: 6,
    objects_per_second: 812.4,
    bytes_per_second: 1.45e9,
    seconds_left: 3740,
    prefixes_failed: [],
    ...change,
  });
  const runs = [
    run("archive-2019", {}),
    run("media-move", { state: "stopped", source: "east:media/", target: "west:media/", listing: false, failed: 0, workers: 0, bytes_per_second: 0, objects_per_second: 0, seconds_left: null, listed: 5000, equal: 0, copied: 1200, pending: 3800, running: 0, gone: 0, started: iso(300 * kMinute) }),
    run("weekly-sync", { state: "finished", source: "east:shared/", target: "south:shared/", listing: false, failed: 0, workers: 0, bytes_per_second: 0, objects_per_second: 0, seconds_left: 0, listed: 80_211, equal: 80_100, copied: 111, pending: 0, running: 0, gone: 0, started: iso(1900 * kMinute), finished: iso(1893 * kMinute) }),
  ];
  const failures: Failure[] = parked.map((one, at) => ({
    time: one.when!,
    rule: one.rule,
    target: one.target,
    key: one.key!,
    op: one.op,
    state: (["parked", "retry", "parked"] as const)[at]!,
    reason: one.reason,
  }));
  // `refusal`: what every change is answered with; a test says it.
  const refusal = null as { field: string | null; message: string } | null;
  return { rules, parked, runs, failures, applied: 0, noBackups: false, refusal };
}

export type World = ReturnType<typeof makeWorld>;

function wave(seed: number, at: number): number {
  return 1 + 0.5 * Math.sin(at / 9 + seed) + 0.25 * Math.sin(at / 2.3 + seed * 2);
}

function history(query: URLSearchParams) {
  const from = Date.parse(query.get("from") ?? iso(86_400_000)) / 1000;
  const step = from > now() / 1000 - 25 * 3600 ? 60 : 900;
  const begin = Math.ceil(Math.max(from, now() / 1000 - 6 * 86_400) / step) * step;
  const times: number[] = [];
  for (let at = begin; at <= now() / 1000; at += step) {
    if (at % 86_400 > 40_000 && at % 86_400 < 43_000) continue; // Nothing ran then.
    times.push(at);
  }
  const seed = (query.get("rule") ?? "all").length;
  const values = (scale: number) => times.map((time) => Math.max(0, scale * wave(seed, time / 900)));
  return {
    rule: query.get("rule"),
    target: null,
    step_seconds: step,
    times,
    series: {
      lag_seconds: values(4),
      pending: values(30),
      objects_per_second: values(42),
      bytes_per_second: values(5e6),
      plain_bytes: values(step * 5.1e6),
      sent_bytes: values(step * 1.2e6),
      failures: times.map((_, at) => (at % 300 === 17 ? 2 : 0)),
    },
  };
}

function account(what: string, scale: number, known = true) {
  const paid = Math.round(scale * 4.1e12);
  const native = Math.round(scale * 17.6e12);
  return {
    what,
    objects: Math.round(scale * 240_000),
    bytes: Math.round(scale * 200e9),
    paid_pico_dollars: paid,
    native_pico_dollars: native,
    copy_pico_dollars: Math.round(scale * 16.2e12),
    net_pico_dollars: known ? native - paid : null,
    paid_items: { transfer: Math.round(paid * 0.7), requests: Math.round(paid * 0.2), staging: Math.round(paid * 0.04), cpu: Math.round(paid * 0.06) },
    native_items: { transfer: Math.round(native * 0.8), requests: Math.round(native * 0.2) },
    whole: known,
    unknown_prices: known ? [] : ["transfer east to south"],
  };
}

function explanation(address: string, world: World) {
  const key = address.replace(/^[^/]*\//, "");
  const parked = world.parked.find((one) => one.key === key) ?? null;
  const at = (status: string, next: string) => ({
    name: "images-copy",
    address: `west:images-copy/${key}`,
    key,
    status,
    next,
    next_try: null,
    error: null,
    object: parked ? null : { etag: '"9b2cf535f27731c974343645a3985328"', size: 48211, modified: iso(3 * kMinute) },
    mark: parked ? null : { where: "object", site: "east-1", stamp: iso(3 * kMinute), source_etag: '"9b2cf535f27731c974343645a3985328"' },
    floor: null,
    giant: null,
    staged: parked ? [{ archive: "01KAQ6H7V2M7N0D4B6YZ3J8WQK", op: "put", stamp: iso(7 * kMinute) }] : [],
    receipts: [],
    refused: [],
    archives_not_read: 0,
    parked,
    paused_since: null,
    paused_until: null,
    open_since: null,
    open_reason: null,
    spooled: false,
    carrier: null,
  });
  const next = parked ? "It waits for you: see to the reason, then retry it." : "Nothing is left to do.";
  return {
    address,
    status: parked ? "FAILED" : "COMPLETED",
    next,
    next_try: null,
    rules: [
      {
        rule: "images",
        direction: "from",
        matches: true,
        why_not: null,
        source_address: address,
        source: { etag: '"9b2cf535f27731c974343645a3985328"', size: 48211, modified: iso(8 * kMinute) },
        source_error: null,
        parked: null,
        shrinks_to: 0.94,
        targets: [at(parked ? "FAILED" : "COMPLETED", next)],
      },
    ],
  };
}

export const counts = (world: World) => {
  const sum = { ok: 0, warn: 0, bad: 0, off: 0 };
  for (const one of world.rules) ++sum[one.health];
  return sum;
};

export interface Answer {
  status: number;
  body: unknown;
}
const ok = (body: unknown, status = 200): Answer => ({ status, body });
const refuse = (status: number, code: string, message: string, field: string | null = null): Answer => ({
  status,
  body: { error: { code, message, field } },
});

const kStamps = [2 * kMinute, 26 * 60 * kMinute, 50 * 60 * kMinute];
function object(key: string, size: number) {
  return { key, size, etag: "9a0364b9e99bb480dd25e1f0284c8555", stamp: iso(kStamps[2]!), version_id: "01KAQ6H7V2M7N0D4B6YZ3J8WQ0.5" };
}
function restores(): Record<string, unknown>[] {
  const run = { rule: "nightly-dumps", target: "dumps-vault", prefix: "2026/11/", at: iso(26 * 60 * kMinute), destination: "east:recovered/", overwrite: false, dry_run: false, started: iso(3 * kMinute), ended: null, listed_all: false, restored: 1204, restored_bytes: 3.4e9, equal: 12, failed: 0, reason: null };
  return [
    { ...run, id: "01KB2M5J9Q", phase: "running" },
    { ...run, id: "01KB2M3A77", phase: "stopped", prefix: "2026/10/orders.sql", destination: "east:dumps/2026/10/", restored: 0, restored_bytes: 0, equal: 0, ended: iso(8 * kMinute), started: iso(9 * kMinute), reason: "1 object at 'east:dumps/2026/10/' would be replaced and differs: restore to another place, or have them replaced (overwrite)" },
    { ...run, id: "01KB2KZZ01", phase: "failed", prefix: "", at: null, restored: 40_210, restored_bytes: 88e9, failed: 2, listed_all: true, ended: iso(60 * kMinute), started: iso(90 * kMinute), reason: "2 objects could not be restored" },
  ];
}
function backups(world: World, method: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Answer {
  const [, , , rule, target, what] = path.split("/").map(decodeURIComponent);
  if (!rule) {
    if (world.noBackups) return ok({ backups: [] });
    return ok({ backups: [
      { rule: "nightly-dumps", target: "dumps-vault", source: "east:dumps/", vault: "west:dumps-vault/", keep_seconds: 90 * 86_400, storage_class: "GLACIER_IR", lock_mode: "COMPLIANCE", enabled: true },
      { rule: "app-logs", target: "logs-vault", source: "east:app-logs/2026/", vault: "west:logs-vault/", keep_seconds: null, storage_class: null, lock_mode: null, enabled: false },
    ] });
  }
  if (rule === "runs") {
    if (!target) return ok({ runs: restores(), next: null });
    if (what === "failures") return ok({ failures: ["2026/01/a.sql", "2026/01/b.sql"].map((name) => ({ name, reason: "read: the archive 01KB2K is damaged: frame 12 has another digest", when: iso(70 * kMinute) })), next: null });
    const found = restores().find((run) => run.id === target);
    return found ? ok(found, method === "POST" ? 202 : 200) : refuse(404, "NotFound", `there is no restore '${target}'`);
  }
  if (what === "restore") {
    if (body.destination !== undefined && !String(body.destination).startsWith("east:")) {
      return refuse(400, "InvalidInput", `destination: '${String(body.destination).split(":")[0]}' is no store of the configuration`, "destination");
    }
    return ok(restores()[0]!, 202);
  }
  if (what === "versions") {
    const sizes = [null, 48_112_003, 47_998_120];
    return ok({ rule, target, key: query.get("key"), incomplete: null, next: null, versions: kStamps.map((age, at) => ({ version_id: `01KAQ6H7V2M7N0D4B6YZ3J8WQ${at}.5`, stamp: iso(age), size: sizes[at], etag: at ? "9a0364b9e99bb480dd25e1f0284c8555" : null, is_latest: at === 0, is_delete_marker: at === 0 })) });
  }
  const prefix = query.get("prefix") ?? "";
  const early = query.get("at") && Date.parse(query.get("at")!) < Date.now() - 60 * 86_400_000;
  const page = { rule, target, at: query.get("at"), prefix, delimiter: "/", incomplete: null, next: null };
  if (early) return ok({ ...page, objects: [], prefixes: [] });
  if (prefix === "") return ok({ ...page, prefixes: ["2025/", "2026/"], objects: [object("README.txt", 812), object("schema/users.sql".replace("schema/", ""), 40_112)] });
  if (prefix.split("/").length < 3) return ok({ ...page, prefixes: ["10/", "11/"].map((month) => prefix + month), objects: [] });
  return ok({ ...page, prefixes: [], objects: ["customers.sql", "orders.sql", "orders\u202etxt.sql", "a-very-long-name-of-a-dump-that-somebody-made-with-all-that-they-knew-of-it-2026-11-24T20-15-03Z.sql.zst"].map((name, at) => object(prefix + name, 48e6 * (at + 1))), next: query.get("cursor") ? null : "00" });
}

export function answer(world: World, method: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Answer {
  const [, , one, two, three] = path.split("/").map(decodeURIComponent);
  if (method === "POST" && world.refusal) {
    return refuse(400, "InvalidInput", world.refusal.message, world.refusal.field);
  }
  if (one === "version") return ok({ version: "0.3.0", api: 1, site: "east-1", time: iso(), role: "operate", who: "token", token_needed: true, roles: ["source", "target"] });
  if (one === "health") {
    return ok({
      ready: false,
      reasons: { "store west": kRefused },
      stores: [
        { name: "east", place: "s3 127.0.0.1:9001", health: "ok", reason: null },
        { name: "south", place: "s3 127.0.0.1:9003", health: "ok", reason: null },
        { name: "west", place: "s3 127.0.0.1:9002", health: "bad", reason: kRefused },
      ],
    });
  }
  if (one === "rules" && !two) {
    const search = query.get("search") ?? "";
    const rules = world.rules.filter(
      (rule) => (!query.get("health") || rule.health === query.get("health")) && rule.id.includes(search),
    );
    return ok({ rules, total: rules.length, counts: counts(world), next: null });
  }
  if (one === "rules") {
    const rule = world.rules.find((rule) => rule.id === two);
    if (!rule) return refuse(404, "NotFound", `there is no rule ${two}`);
    const member = { process: "01KAQ6", host: "h1", pid: 812, version: "0.3.0", roles: ["source", "target"], started: iso(9e6), seen: iso(900), keys_pending: 12, rules: 5 };
    if (!three) {
      return ok({
        ...rule,
        settings: { priority: 0, transport: "direct", compression: "6", deletes: false, prefix: "", suffix: "", batch_bytes: 268435456, batch_count: 10000, linger_seconds: 5, settle_seconds: 2, threshold_seconds: null, listing_seconds: 3600, webhook: true, watch: false, sealed: false },
        members: [member],
      });
    }
    if (three === "pause") {
      if (body.for_seconds !== undefined && !(Number(body.for_seconds) >= 1)) {
        return refuse(400, "InvalidInput", "for_seconds: it is at least 1", "for_seconds");
      }
      Object.assign(rule, { state: "paused", health: "off", paused_since: iso(), hints_kept: true });
      return ok({ rule: rule.id, target: null, since: iso(), until: null });
    }
    if (three === "resume") {
      Object.assign(rule, { state: "active", health: "ok", paused_since: null, hints_kept: false });
      return ok({ rule: rule.id, target: null, was_paused: true, paused_still: [] });
    }
    if (three === "backfill") return ok({ rule: rule.id, prefix: "", paused: false }, 202);
    world.parked = [];
    rule.parked = 0;
    return ok({ rule: rule.id, keys: 1, forgotten: 0, missing: [] }, 202);
  }
  if (one === "parked") return ok({ parked: world.parked.filter((parked) => parked.rule === query.get("rule")), next: null });
  if (one === "dead-letters") {
    return ok({ dead_letters: [{ lane: "", sent: iso(4e6), received: 1000, bytes: 210, reason: "never carried to its end", rule: "app-logs", target: null, source: "east:app-logs", origin: "events", keys: 2, first_keys: ["2026/k", "2026/l"], body: null }], total: 1 });
  }
  if (one === "explain") {
    const address = query.get("address") ?? "";
    if (!/^\w+:.*\//.test(address)) return refuse(400, "InvalidInput", `address: ${address} is no NAME:bucket/key`, "address");
    return ok(explanation(address, world));
  }
  if (one === "savings") {
    const days = query.get("by") === "day";
    const groups = days
      ? Array.from({ length: 7 }, (_, at) => account(iso((6 - at) * 86_400_000).slice(0, 10), wave(3, at * 5) / 7))
      : [account("app-logs", 0.7), account("billing-exports", 0.2), account("images", 0.1), account("metrics", 0.04, false)];
    return ok({ since: iso(7 * 86_400_000), by: days ? "day" : "rule", groups, total: account("total", 1), break_even_bytes: 21_400, price_table: "2026-11-01", damaged_rows: 0 });
  }
  if (one === "history") return ok(history(query));
  if (one === "migrations" && !two) {
    return ok({ migrations: [{ id: "nightly", source: "east:logs/", target: "west:logs/", schedule: "0 5 * * 1", after: null }], stores: ["east", "west", "south"] });
  }
  if (one === "migrations") {
    if (!three) {
      if (method === "GET") return ok({ runs: world.runs, next: null });
      if (!body.migration && !String(body.source).includes(":")) {
        return refuse(400, "InvalidInput", `source: '${body.source}' names no store: write NAME:bucket/prefix`, "source");
      }
      const made = { ...world.runs[0]!, id: String(body.id ?? "new-run"), state: "waiting" as const, source: String(body.source), target: String(body.target), listed: 0, failed: 0, workers: 0, started: iso() };
      world.runs = [made, ...world.runs];
      return ok(made, 201);
    }
    const run = world.runs.find((run) => run.id === three);
    if (!run) return refuse(404, "NotFound", `there is no run ${three}`);
    const what = path.split("/")[5];
    if (what === "objects") {
      const failed = query.get("state") === "failed" && run.failed > 0;
      return ok({ objects: failed ? ["2019/01/a.parquet", "2019/02/b.parquet"].map((name) => ({ name, state: "failed", size: 5e7, tries: 5, reason: "GetObject 403 AccessDenied, request 4N8Q" })) : [], next: null });
    }
    if (what === "stop") run.state = "stopped";
    if (what === "start") run.state = "running";
    if (what === "retry") return ok({ run: run.id, objects: run.failed, prefixes: 0 }, 202);
    return ok(run);
  }
  if (one === "backups") return backups(world, method, path, query, body);
  if (one === "cache") {
    const result = { FailedJobs: [], Error: null };
    if (method === "POST" && !three) {
      if (!(Number(body.ttl) >= 1 / 60)) {
        return refuse(400, "InvalidInput", "ttl: a time to live of 0h is not between one minute and 366 days", "ttl");
      }
      if (!String(body.bucket).includes(":")) {
        return refuse(400, "InvalidInput", "bucket: write STORE:BUCKET with a store of the configuration (east, west)", "bucket");
      }
    }
    const one_run = { cache: "fast-cache@s3 127.0.0.1:9001", number: 11, phase: "failed", reason: null, source: "east:training", prefixes: ["2026/11/"], force: false, ttl_seconds: 86400, started: iso(9 * kMinute), ended: iso(3 * kMinute), hits: 120, copied: 3811, bytes: 91e9, gone: 0, failed: 2, inherited: 0, waiting: 0, waits_for: [], cost: { paid_pico_dollars: 5_910_000_000, paid_items: { "requests at east": 1_600_000_000, "requests at fast": 4_310_000_000 }, unknown_prices: ["express_upload_gib/eu-north-1"], batch_pico_dollars: 264_000_000_000, batch_items: { bytes: 271_000_000, copies: 9_650_000_000, jobs: 250_000_000_000, listing: 20_000_000, table: 4_059_000_000 }, storage_pico_dollars: null }, failures: [{ key: "2026/11/b.bin", reason: "read: GetObject 403 AccessDenied, request 4N8Q" }, { key: "2026/11/c.bin", reason: "read: GetObject 403 AccessDenied, request 4N8R" }], result: { FailedJobs: [{ prefix: "2026/11/", numberOfTasksFailed: 2, jobReport: "/v1/cache/runs/11", sk: "11", reason: null }], Error: "Some of the Jobs failed" } };
    if (three || method === "POST") return ok({ ...one_run, ...(method === "POST" && { number: 13, phase: "running", failures: [], result }) }, method === "POST" ? 202 : 200);
    return ok({ runs: [{ reason: null, cache: "fast-cache@s3 127.0.0.1:9001", number: 12, phase: "running", source: "east:training", prefixes: ["2026/11/", "2026/10/"], force: false, ttl_seconds: 86400, started: iso(4 * kMinute), ended: null, hits: 14200, copied: 3811, bytes: 91e9, gone: 0, failed: 0, inherited: 0, waiting: 12, waits_for: [11], cost: null }, one_run], next: null });
  }
  if (one === "members") {
    return ok({ members: ["h1", "h2"].map((host, at) => ({ process: `01KAQ6H7V2M7N0D4B6YZ3J8WQ${at}`, host, pid: 812 + at, version: "0.3.0", roles: at ? ["target"] : ["source", "target"], started: iso(9e6), seen: iso(900), keys_pending: 12, rules: 5 })) });
  }
  if (one === "failures") return ok({ failures: world.failures });
  if (one === "audit") {
    return ok({ entries: [{ number: 7, time: iso(5e6), who: "alice", role: "operate", peer: "127.0.0.1", action: "pauseRule", subject: "nightly-dumps", detail: "{}", status: 200 }], next: null });
  }
  return refuse(404, "NotFound", "nothing here");
}
