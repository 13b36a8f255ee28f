// What the API answers (src/server/openapi.yaml), as far as the pages show it. null: not known.

export type Health = "ok" | "warn" | "bad" | "off";
type Time = string;

export interface Version {
  version: string;
  api: number;
  site: string;
  time: Time;
  role: "view" | "operate";
  who: string;
  token_needed: boolean;
  roles: string[];
}

export interface StoreHealth {
  name: string;
  place: string;
  health: "ok" | "bad";
  reason: string | null;
}
export interface ProcessHealth {
  ready: boolean;
  reasons: Record<string, string>;
  stores: StoreHealth[];
}

interface Lag {
  lag_seconds: number;
  lag_p50_seconds: number | null;
  lag_p99_seconds: number | null;
  lag_max_seconds: number | null;
  oldest_pending_key: string | null;
}
interface Held {
  state: "active" | "paused" | "disabled";
  paused_since: Time | null;
  paused_until: Time | null;
  health: Health;
  reason: string | null;
}

export interface Target extends Lag, Held {
  name: string;
  address: string;
  archives_waiting: number;
  objects_per_second: number;
  bytes_per_second: number;
  applied: number;
  applied_bytes: number;
  equal: number;
  superseded: number;
  conflicts: number;
  parked: number;
  parked_more: boolean;
  lag_objects: number;
  open_since: Time | null;
  open_reason: string | null;
  missed_threshold: number;
  reached_after_threshold: number;
  backup: boolean;
}

// Of `compression: auto`, for a kind of content.
export interface Level {
  kind: string;
  level: number;
  why: string;
  packed_bytes: number;
}

export interface Rule extends Lag, Held {
  id: string;
  source: string;
  processes: number;
  sources: number;
  keys_pending: number;
  hints_kept: boolean;
  objects_per_second: number;
  bytes_per_second: number;
  since: Time | null;
  archives: number;
  object_bytes: number;
  plain_bytes: number;
  sent_bytes: number;
  saved_bytes: number;
  ratio: number | null;
  saved_money: number;
  failures: number;
  parked: number;
  parked_more: boolean;
  deletes_held: number;
  levels: Level[];
  troubles: Record<string, string>;
  targets: Target[];
}

export interface Settings {
  priority: number;
  transport: string;
  compression: string;
  deletes: boolean;
  prefix: string;
  suffix: string;
  batch_bytes: number;
  batch_count: number;
  linger_seconds: number;
  settle_seconds: number;
  threshold_seconds: number | null;
  listing_seconds: number | null;
  webhook: boolean;
  watch: boolean;
  sealed: boolean;
}
export interface Member {
  process: string;
  host: string;
  pid: number;
  version: string;
  roles: string[];
  started: Time;
  seen: Time;
  keys_pending: number;
  rules: number;
}
export interface RuleDetail extends Rule {
  settings: Settings;
  members: Member[];
}
export type Counts = Record<Health, number>;
export interface RulePage {
  rules: Rule[];
  total: number;
  counts: Counts;
  next: string | null;
}

export interface Parked {
  rule: string;
  target: string | null; // null: at the source.
  key: string | null; // null: all of the archive.
  archive: string | null;
  op: string;
  reason: string;
  when: Time | null;
  since: Time | null;
  retried: Time | null;
}
export interface ParkedPage {
  parked: Parked[];
  next: string | null;
}

export interface DeadLetter {
  lane: string;
  sent: Time;
  received: number;
  bytes: number;
  reason: string;
  rule: string | null;
  target: string | null;
  source: string | null;
  keys: number | null;
  first_keys: string[];
  body: string | null;
}

export interface ObjectSeen {
  etag: string;
  size: number;
  modified: Time;
}
export type ReplicationStatus = "none" | "PENDING" | "COMPLETED" | "FAILED" | "REPLICA";
export interface ExplainedTarget {
  name: string;
  address: string;
  key: string;
  status: ReplicationStatus;
  next: string;
  next_try: Time | null;
  error: string | null;
  object: ObjectSeen | null;
  mark: {
    where: "object" | "state" | "foreign";
    site: string | null;
    stamp: Time | null;
    source_etag: string | null;
  } | null;
  floor: { deleted: boolean; stamp: Time | null } | null;
  giant: { plan: string; segments: number | null; segments_done: number | null } | null;
  staged: { archive: string; op: string; stamp: Time | null }[];
  receipts: {
    archive: string;
    state: "done" | "corrupt";
    written: Time | null;
    applied: number;
    conflicts: number;
    reason: string | null;
    rereads: boolean;
  }[];
  refused: Parked[];
  archives_not_read: number;
  parked: Parked | null;
  paused_since: Time | null;
  paused_until: Time | null;
  open_since: Time | null;
  open_reason: string | null;
  spooled: boolean;
  carrier: string | null;
}
export interface ExplainedRule {
  rule: string;
  direction: "from" | "to";
  matches: boolean;
  why_not: string | null;
  source_address: string;
  source: ObjectSeen | null;
  source_error: string | null;
  parked: Parked | null;
  shrinks_to: number | null;
  targets: ExplainedTarget[];
}
export interface Explanation {
  address: string;
  status: ReplicationStatus;
  next: string;
  next_try: Time | null;
  rules: ExplainedRule[];
}

export interface Account {
  what: string;
  objects: number;
  bytes: number;
  paid_pico_dollars: number;
  native_pico_dollars: number;
  copy_pico_dollars: number;
  net_pico_dollars: number | null;
  paid_items: Record<string, number>;
  native_items: Record<string, number>;
  whole: boolean;
  unknown_prices: string[];
}
export interface Savings {
  since: Time;
  by: string;
  groups: Account[];
  total: Account;
  break_even_bytes: number | null;
  price_table: string;
  damaged_rows: number;
}

type Values = (number | null)[];
export interface History {
  rule: string | null;
  target: string | null;
  step_seconds: number;
  times: number[];
  series: {
    lag_seconds: Values;
    pending: Values;
    objects_per_second: Values;
    bytes_per_second: Values;
    plain_bytes: Values;
    sent_bytes: Values;
    failures: Values;
  };
}

export interface Migration {
  id: string;
  source: string;
  target: string;
  schedule: string | null;
  after: string | null;
}
export interface MigrationRun {
  id: string;
  state: "running" | "waiting" | "stopped" | "finished";
  source: string;
  target: string;
  started: Time;
  started_by: string;
  starts: number;
  finished: Time | null;
  listing: boolean;
  listed: number;
  listed_bytes: number;
  equal: number;
  copied: number;
  copied_bytes: number;
  running: number;
  running_bytes: number;
  pending: number;
  pending_bytes: number;
  failed: number;
  gone: number;
  workers: number;
  objects_per_second: number;
  bytes_per_second: number;
  seconds_left: number | null;
  prefixes_failed: { prefix: string; reason: string }[];
}
export interface MigrationObject {
  name: string;
  state: "pending" | "running" | "failed" | "gone";
  size: number;
  tries: number;
  reason: string | null;
}
// Pico-dollars.
export interface FillCost {
  paid_pico_dollars: number;
  paid_items: Record<string, number>;
  unknown_prices: string[];
  batch_pico_dollars: number;
  batch_items: Record<string, number>;
  storage_pico_dollars: number | null;
}
export interface CacheRun {
  cache: string;
  number: number;
  phase: "running" | "killed" | "stopped" | "failed" | "done";
  source: string;
  prefixes: string[];
  force: boolean;
  ttl_seconds: number;
  started: Time;
  ended: Time | null;
  hits: number;
  copied: number;
  bytes: number;
  gone: number;
  failed: number;
  inherited: number;
  waiting: number;
  waits_for: number[];
  cost: FillCost | null;
  reason: string | null;
}
export interface CacheRunDetail extends CacheRun {
  failures: { key: string; reason: string }[];
  result: {
    FailedJobs: { prefix: string; numberOfTasksFailed: number; reason: string | null }[];
    Error: string | null;
  };
}

export interface Backup {
  rule: string;
  target: string;
  source: string;
  vault: string;
  keep_seconds: number | null;
  storage_class: string | null;
  lock_mode: string | null;
  enabled: boolean;
}
export interface BackupObject {
  key: string;
  size: number;
  etag: string;
  stamp: Time;
  version_id: string;
}
export interface BackupObjects {
  at: Time | null;
  prefix: string;
  objects: BackupObject[];
  prefixes: string[];
  incomplete: string | null;
  next: string | null;
}
export interface BackupVersion {
  version_id: string;
  stamp: Time;
  size: number | null;
  etag: string | null;
  is_latest: boolean;
  is_delete_marker: boolean;
}
export interface BackupVersions {
  key: string;
  versions: BackupVersion[];
  incomplete: string | null;
  next: string | null;
}
export interface Restore {
  id: string;
  phase: "running" | "killed" | "stopped" | "failed" | "done";
  reason: string | null;
  rule: string | null;
  target: string | null;
  prefix: string | null;
  at: Time | null;
  destination: string;
  overwrite: boolean;
  dry_run: boolean;
  started: Time;
  ended: Time | null;
  listed_all: boolean;
  restored: number;
  restored_bytes: number;
  equal: number;
  failed: number;
}

export interface Failure {
  time: Time;
  rule: string;
  target: string | null;
  key: string;
  op: string | null;
  state: "parked" | "conflict" | "retry";
  reason: string;
}
export interface AuditEntry {
  number: number;
  time: Time;
  who: string;
  role: string;
  peer: string;
  action: string;
  subject: string;
  detail: string;
  status: number | null;
}
