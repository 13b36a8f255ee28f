// pages.mjs DIST [SHOTS]: every page of a build, in both themes, at 1280 and 375 px, on made-up
// answers: axe, the policy, the width; then what only a broken server shows. SHOTS: a folder for
// pictures of them.

import { mkdirSync } from "node:fs";
import { serve } from "../mock/server.ts";
import { axeFindings, check, launch, open, signIn } from "./browser.mjs";

const [dist, shots] = process.argv.slice(2);
if (shots) mkdirSync(shots, { recursive: true });

const then = encodeURIComponent(new Date(Date.now() - 24 * 3600_000).toISOString());
const kPages = {
  overview: ["#/", "app-logs"],
  rule: ["#/rules/app-logs", "Settings"],
  "rule-failing": ["#/rules/billing-exports", "Left alone since"],
  "rule-parked": ["#/rules/images", "the store hides this key"],
  object: ["#/object?address=east%3Aimages%2F2026%2Fa%2F%2Fb.png", "Parked at images-copy"],
  runs: ["#/runs", "archive-2019"],
  run: ["#/runs/migration/archive-2019", "a.parquet"],
  "run-restore": ["#/runs/restore/01KB2KZZ01", "another digest"],
  "run-cache": ["#/runs/cache/11?cache=fast", "2026/11/b.bin"],
  backups: ["#/backups", "README.txt"],
  "backups-prefix": [`#/backups/nightly-dumps/dumps-vault?prefix=2026%2F11%2F&at=${then}`, "customers.sql"],
  "backups-versions": ["#/backups/nightly-dumps/dumps-vault?prefix=2026%2F11%2F&key=2026%2F11%2Forders.sql", "replaced since"],
  "backups-nothing": ["#/backups/nightly-dumps/dumps-vault?at=2020-01-01T00%3A00%3A00.000Z", "The backup had nothing yet"],
  money: ["#/money", "By item"],
  members: ["#/members", "Dead letters"],
};

const browser = await launch();
let mock = await serve(dist);
try {
  const { page, wrong } = await open(browser.context, mock.url);
  await page.goto(mock.url);
  // A refused token is said so, at the field.
  await signIn(page, "bad");
  await page.getByText("The server refuses this token.").waitFor();
  check((await axeFindings(page)).length === 0, "axe: signing in");
  await signIn(page, "good");
  await page.getByRole("heading", { name: "Overview" }).waitFor();

  for (const [name, [hash, text]] of Object.entries(kPages)) {
    for (const theme of ["light", "dark"]) {
      await page.getByLabel("Theme").selectOption(theme);
      for (const width of [1280, 375]) {
        await page.setViewportSize({ width, height: 900 });
        await page.goto(mock.url + hash);
        await page.getByText(text).first().waitFor();
        await page.waitForTimeout(250);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(wide <= 0, `${name} is ${wide} px wider than ${width} px`);
        const found = await axeFindings(page);
        check(found.length === 0, `axe: ${name}, ${theme}, ${width} px: ${found.join("\n")}`);
        if (shots) await page.screenshot({ path: `${shots}/${name}-${theme}-${width}.png`, fullPage: true });
      }
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });

  // By keys alone: the dialog takes the focus, keeps it, and gives it back.
  await page.goto(`${mock.url}#/rules/app-logs`);
  await page.getByRole("button", { name: "Pause", exact: true }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Pause rule app-logs?" });
  await dialog.waitFor();
  // What the server says stands at the field, and is read with it.
  await dialog.getByLabel("For how many hours").fill("0.0001");
  await page.keyboard.press("Enter");
  await dialog.getByText("for_seconds: it is at least 1").waitFor();
  check((await dialog.getByLabel("For how many hours").getAttribute("aria-invalid")) === "true", "the field is not marked");
  await page.keyboard.press("Escape");
  // When the dialog is gone, a moment after the key.
  const back = page.waitForFunction(() => document.activeElement?.textContent === "Pause", null, { timeout: 10_000 });
  await back.catch(() => check(false, "the focus did not come back"));

  await page.goto(`${mock.url}#/runs`);
  await page.getByLabel("From", { exact: true }).fill("nowhere");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByText("source: 'nowhere' names no store").waitFor();

  await page.getByLabel("Kept for how many hours").fill("0");
  await page.getByRole("button", { name: "Fill", exact: true }).click();
  await page.locator(".field-error").getByText("ttl: a time to live of 0h").waitFor();

  // What the server has against a member of a form stands at its field, and where there is no field
  // for it, below them all: it is shown in any case, and once.
  const kForms = {
    migration: {
      action: "Start",
      fields: { source: "From", target: "To", id: "Name of the run", prefixes: "Only below these prefixes", options: null, size_only: null },
    },
    "migration of the configuration": {
      action: "Start",
      open: () => page.getByLabel("From the configuration").selectOption("nightly"),
      close: () => page.getByLabel("From the configuration").selectOption(""),
      fields: { migration: "From the configuration", prefixes: "Only below these prefixes", source: null, id: null },
    },
    fill: {
      action: "Fill",
      fields: { bucket: "Bucket", directory_bucket: "Cache", prefixes: "Prefixes", ttl: "Kept for how many hours", force_copy: null, take_bucket: null },
    },
    restore: {
      action: "Restore",
      fields: { destination: "Address", prefix: null, key: null, at: null, overwrite: null, dry_run: null },
    },
  };
  for (const [name, { action, open: prepare, close: undo, fields }] of Object.entries(kForms)) {
    let form = page;
    if (name === "restore") {
      await page.goto(`${mock.url}#/backups/nightly-dumps/dumps-vault?prefix=2026%2F11%2F`);
      await page.getByRole("button", { name: "Restore this prefix" }).click();
      form = page.getByRole("dialog", { name: "Restore this prefix?" });
      await form.getByLabel("Address").fill("east:recovered/");
    } else {
      await page.goto(`${mock.url}#/runs`);
      await page.getByRole("button", { name: action, exact: true }).waitFor();
      await prepare?.();
    }
    for (const [field, label] of [...Object.entries(fields), ["", null]]) {
      const message = `${field}: refused by ${name}`;
      mock.world.refusal = { field: field || null, message };
      await form.getByRole("button", { name: action, exact: true }).click();
      await form.getByText(message).first().waitFor({ timeout: 5000 }).catch(() => check(false, `${name}: nothing is shown of '${field}'`));
      check((await form.getByText(message).count()) === 1, `${name}: '${field}' is shown more than once`);
      if (label === null) {
        check(await form.locator(".notice").getByText(message).isVisible(), `${name}: '${field}' stands at some field`);
      } else {
        const marked = form.getByLabel(label, { exact: true });
        const told = await marked.getAttribute("aria-describedby");
        const said = told ? await form.locator(told.split(" ").map((id) => `[id="${id}"]`).join(", ")).allTextContents() : [];
        check(said.includes(message), `${name}: '${field}' does not stand at '${label}'`);
      }
    }
    await undo?.();
    mock.world.refusal = null;
  }
  await page.keyboard.press("Escape");

  // Runs move by events: the lists and pages are looked at twice a minute alone. What is told while
  // a list is first asked for is asked for again, and this server's answers stay as they are.
  const kEvent = { timeout: 10_000 };
  await page.goto(`${mock.url}#/runs`);
  await page.getByRole("table", { name: "Fills of caches" }).getByText("14,200").waitFor();
  await page.getByRole("table", { name: "Restores" }).getByText("1,204").waitFor();
  const fill = { cache: "fast-cache@s3 127.0.0.1:9001", number: 12, phase: "running", reason: null, source: "east:training", prefixes: ["2026/11/"], force: false, ttl_seconds: 86400, started: new Date().toISOString(), ended: null, hits: 14201, copied: 1, bytes: 1, gone: 0, failed: 0, inherited: 0, waiting: 0, waits_for: [], cost: null };
  const restore = { id: "01KB2M5J9Q", rule: "nightly-dumps", target: "dumps-vault", prefix: "2026/11/", at: null, destination: "east:recovered/", overwrite: false, dry_run: false, phase: "running", started: new Date().toISOString(), ended: null, listed_all: false, restored: 1205, restored_bytes: 3.4e9, equal: 12, failed: 0, reason: null };
  mock.tell("cache_runs", { runs: [fill] });
  mock.tell("restores", { runs: [restore] });
  await page.getByRole("table", { name: "Fills of caches" }).getByText("14,201").waitFor(kEvent);
  await page.getByRole("table", { name: "Restores" }).getByText("1,205").waitFor(kEvent);
  await page.goto(`${mock.url}#/runs/restore/01KB2M5J9Q`);
  await page.getByText("1,204", { exact: true }).waitFor();
  mock.tell("restores", { runs: [{ ...restore, phase: "done", restored: 1300 }] });
  await page.getByText("1,300", { exact: true }).waitFor(kEvent);
  await page.goto(`${mock.url}#/runs/cache/11?cache=${encodeURIComponent(fill.cache)}`);
  await page.getByText("2026/11/b.bin").waitFor();
  // A price that nobody knows is named, and the sum is at least.
  const cost = page.getByRole("region", { name: "What it cost" });
  await cost.getByText("express_upload_gib/eu-north-1").waitFor();
  check((await cost.getByText("at least").count()) === 2, "a sum without a price is told as the whole");
  const asked = page.waitForResponse((response) => response.url().includes("/v1/cache/runs/11"), kEvent);
  mock.tell("cache_runs", { runs: [{ ...fill, number: 11, hits: 121 }] });
  await asked.catch(() => check(false, "the page of a fill does not look again when it is told of it"));

  // A restore asks first; what is wrong with the destination stands at its field.
  for (const width of [1280, 375]) {
    await page.setViewportSize({ width, height: 900 });
    await page.goto(`${mock.url}#/backups/nightly-dumps/dumps-vault?prefix=2026%2F11%2F`);
    await page.getByRole("button", { name: "Restore this prefix" }).click();
    const ask = page.getByRole("dialog", { name: "Restore this prefix?" });
    await ask.getByRole("button", { name: "Restore", exact: true }).click();
    await ask.locator(".field-error").getByText("Say where to").waitFor();
    await ask.getByLabel("Address").fill("nowhere:x/");
    await ask.getByRole("button", { name: "Restore", exact: true }).click();
    await ask.locator(".field-error").getByText("is no store of the configuration").waitFor();
    const found = await axeFindings(page);
    check(found.length === 0, `axe: asking for a restore: ${found.join("\n")}`);
    if (shots) await page.screenshot({ path: `${shots}/restore-dialog-${width}.png` });
    await ask.getByLabel("Address").fill("east:recovered/");
    await ask.getByRole("button", { name: "Restore", exact: true }).click();
    await page.getByRole("heading", { name: "Restore", exact: true }).waitFor();
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  mock.world.noBackups = true;
  await page.goto(`${mock.url}#/backups`);
  await page.reload();
  await page.getByText("No rule keeps a backup").waitFor();

  // An answer that comes before the page has drawn itself for the first time is heard all the same.
  for (let tries = 0; tries < 25; ++tries) {
    await page.goto(`${mock.url}#/members`);
    await page.reload();
    await page.getByText("Dead letters").first().waitFor({ timeout: 5000 });
  }

  // The server goes away, and comes back: the page says both.
  await page.goto(`${mock.url}#/`);
  await page.getByText("app-logs").first().waitFor();
  const port = mock.port;
  await mock.close();
  await page.getByText("The server is lost").waitFor();
  if (shots) await page.screenshot({ path: `${shots}/lost.png` });
  mock = await serve(dist, port);
  await page.getByText("The server is lost").waitFor({ state: "detached", timeout: 30_000 });

  // A server that does not know the API: the page says which one it needs.
  mock.state.old = true;
  await page.reload();
  await page.getByText("The page needs longhaul 0.3.0 or later").waitFor();
  check(wrong.filter((one) => !one.includes("favicon")).length === 0, wrong.join("\n"));
  console.log("all pages are well");
} finally {
  await browser.close();
  await mock.close();
}
