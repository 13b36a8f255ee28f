// live.mjs URL TOKEN: a browser before a real server. Each line of standard input names a step; "ok"
// is answered when the page shows what the step expects. tests/system/dashboard.py leads.

import { createInterface } from "node:readline";
import { axeFindings, check, launch, open, signIn } from "./browser.mjs";

const [url, token] = process.argv.slice(2);
const browser = await launch();
const { page, wrong } = await open(browser.context, url);

const applied = async () => Number((await page.locator("[data-applied]").first().textContent()).replaceAll(",", ""));
async function until(good, what) {
  for (let tries = 0; tries < 150; ++tries) {
    if (await good()) return;
    await page.waitForTimeout(200);
  }
  throw new Error(`still not: ${what}`);
}
async function confirm(button, dialog, action) {
  await page.getByRole("button", { name: button, exact: true }).first().click();
  await page.getByRole("dialog", { name: dialog }).getByRole("button", { name: action, exact: true }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
}
const go = (hash) => page.goto(url + hash);
let before = 0;

const kSteps = {
  async "sign in"() {
    await page.goto(url);
    await signIn(page, `not-${token}`);
    await page.getByText("The server refuses this token.").waitFor();
    await signIn(page, token);
    await page.getByRole("link", { name: "main", exact: true }).first().waitFor();
  },
  async "watch the rule"() {
    await go("#/rules/main");
    await page.locator("[data-applied]").first().waitFor();
    before = await applied();
  },
  // The page is not touched meanwhile: what moves, moves by events alone.
  async "numbers move"() {
    await until(async () => (await applied()) >= before + 20, "20 more objects applied");
  },
  async "target is away"() {
    await page.getByText(/connection refused/i).first().waitFor({ timeout: 60_000 });
    await page.locator("h1 + .health.bad").waitFor();
    await go("#/");
    await page.getByRole("table", { name: "Rules that need attention" }).getByRole("link", { name: "main" }).waitFor();
  },
  async "target is back"() {
    await go("#/rules/main");
    await page.locator("h1 + .health.ok").waitFor({ timeout: 90_000 });
  },
  async parked() {
    const row = page.getByRole("table", { name: "Parked" });
    await row.getByText("taken").waitFor({ timeout: 60_000 });
    await row.getByText(/conflict/).waitFor();
    await row.getByRole("link", { name: "taken" }).click();
    await page.getByText(/^Parked at/).waitFor();
    await page.getByText("Did not arrive").waitFor();
  },
  async retry() {
    await confirm("Retry", "Try this object again?", "Retry");
    await until(async () => {
      await page.getByRole("button", { name: "Look again" }).click();
      await page.waitForTimeout(500);
      return page.getByText("Arrived everywhere").isVisible();
    }, "it has arrived");
  },
  async pause() {
    await go("#/rules/main");
    await confirm("Pause", "Pause rule main?", "Pause");
    await page.getByText(/Paused since/).waitFor();
  },
  async resume() {
    await confirm("Resume", "Resume rule main?", "Resume");
    await page.getByText(/Paused since/).waitFor({ state: "detached" });
  },
  async "create a run"() {
    await go("#/runs");
    await page.getByText("No migration has run yet").waitFor();
    // What the server says of it stands at the field.
    await page.getByLabel("From", { exact: true }).fill("nowhere:data/");
    await page.getByLabel("To", { exact: true }).fill("target:moved/");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.locator(".field-error").getByText("nowhere").waitFor();
    await page.getByLabel("From", { exact: true }).fill("source:data/");
    await page.getByLabel("Name of the run").fill("trial");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("link", { name: "trial" }).waitFor();
  },
  async "stop the run"() {
    await confirm("Stop", "Stop trial?", "Stop");
    await page.getByText("stopped", { exact: true }).waitFor();
  },
  async "start the run"() {
    await confirm("Go on", "Start trial?", "Start");
    await page.getByText(/^(waiting|running)$/).waitFor();
  },
  async "run is finished"() {
    await page.getByText("finished", { exact: true }).waitFor({ timeout: 60_000 });
  },
  async "fill a cache"() {
    await go("#/runs");
    await page.getByLabel("Bucket", { exact: true }).fill("source:data");
    await page.getByLabel("Cache", { exact: true }).fill("target:fast");
    await page.getByLabel("Prefixes", { exact: true }).fill("no/such/");
    await page.getByRole("button", { name: "Fill", exact: true }).click();
    await page.locator(".field-error").getByText("there is no object below").waitFor();
    await page.getByLabel("Prefixes", { exact: true }).fill("many/");
    await page.getByRole("button", { name: "Fill", exact: true }).click();
    await page.getByRole("link", { name: /^1 of / }).click();
    await page.locator("h1 + .health").getByText("done").waitFor({ timeout: 60_000 });
  },
  async "the backup has it"() {
    await until(async () => {
      await go("#/runs");
      await go("#/backups");
      await page.getByText("As the backup has it now.").waitFor();
      await page.waitForTimeout(500);
      return page.getByRole("link", { name: "letter", exact: true }).isVisible();
    }, "the backup has the letter");
  },
  async "there are two versions"() {
    const rows = page.getByRole("table", { name: "Versions" }).getByRole("row");
    await until(async () => {
      await go("#/backups");
      await page.getByRole("link", { name: "letter", exact: true }).click();
      await rows.first().waitFor();
      return (await rows.count()) === 3;
    }, "two versions and the head");
  },
  async "restore the earlier version"() {
    const first = page.getByRole("table", { name: "Versions" }).getByRole("row").last();
    await first.getByText("replaced since").waitFor();
    before = (await first.getByRole("rowheader").textContent()).slice(0, 19).replace(" ", "T");
    await first.getByRole("button", { name: "Restore this" }).click();
    const dialog = page.getByRole("dialog", { name: "Restore this object?" });
    // What the server says stands at the field.
    await dialog.getByLabel("Address").fill("target:nowhere/");
    await dialog.getByRole("button", { name: "Restore", exact: true }).click();
    await dialog.locator(".field-error").waitFor();
    await dialog.getByLabel("Address").fill("target:recovered/old/");
    await dialog.getByRole("button", { name: "Restore", exact: true }).click();
    await page.getByRole("heading", { name: "Restore", exact: true }).waitFor();
    await page.locator("h1 + .health").getByText("done").waitFor({ timeout: 60_000 });
  },
  // All of it, as it was then, into the source: nothing is replaced unasked.
  async "restore as of a time"() {
    await go("#/backups");
    await page.getByLabel("As of").fill(before);
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.getByText(/^As it was at/).waitFor();
    await page.getByRole("region", { name: "Objects" }).getByText("5 B", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Restore everything" }).click();
    const dialog = page.getByRole("dialog", { name: "Restore everything?" });
    await dialog.getByLabel("Back to the source, under the same keys").check();
    await dialog.getByRole("button", { name: "Restore", exact: true }).click();
    await page.getByText(/would be replaced and differs/).first().waitFor({ timeout: 60_000 });
  },
  async "replace it"() {
    await go("#/backups");
    await page.getByLabel("As of").fill(before);
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.getByText(/^As it was at/).waitFor();
    await page.getByRole("button", { name: "Restore", exact: true }).first().click();
    const dialog = page.getByRole("dialog", { name: "Restore this object?" });
    await dialog.getByLabel("Back to the source, under the same keys").check();
    await dialog.getByLabel("Replace what is there and differs").check();
    await dialog.getByRole("button", { name: "Restore", exact: true }).click();
    await page.getByRole("heading", { name: "Restore", exact: true }).waitFor();
    await page.locator("h1 + .health").getByText("done").waitFor({ timeout: 60_000 });
  },
  async "every page"() {
    for (const hash of ["#/", "#/rules/main", "#/object?address=source%3Adata%2Ftaken", "#/runs", "#/runs/migration/trial", "#/backups", "#/money", "#/members"]) {
      await go(hash);
      await page.locator("h1").waitFor();
      await page.waitForTimeout(700);
      check(!(await page.getByText("could not be loaded").isVisible()), `${hash}: something could not be loaded`);
      const found = await axeFindings(page);
      check(found.length === 0, `axe: ${hash}: ${found.join("\n")}`);
    }
  },
  async "server is lost"() {
    await page.getByText("The server is lost").waitFor({ timeout: 40_000 });
  },
};

let failed = false;
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await kSteps[line]();
    check(wrong.length === 0, wrong.join("\n"));
    console.log("ok");
  } catch (error) {
    failed = true;
    console.log(`${error.message} at ${page.url()}\n${await page.locator("body").innerText()}`.replaceAll("\n", " / ").slice(0, 6000));
    break;
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
