// load.mjs URL TOKEN RULES PARKED: a browser before a server that has so many rules, each with so
// many parked objects. It walks through what grows with them, and prints as JSON how long the first
// load took, in a browser that is just starting and for people who never were here in one that runs,
// and what each answer of the API weighed. tests/system/dashboard_load.py leads.

import { check, launch, open } from "./browser.mjs";

const [url, token, ruleCount, parkedEach] = process.argv.slice(2);
const rules = Number(ruleCount);
const parked = Number(parkedEach);
const browser = await launch();
const { page, wrong } = await open(browser.context, url);

const answers = [];
page.on("requestfinished", async (request) => {
  const path = request.url().slice(url.length);
  if (!path.startsWith("v1/") || path === "v1/stream") return;
  const timing = request.timing();
  const { responseBodySize } = await request.sizes();
  answers.push({ path, ms: Math.round(timing.responseEnd), bytes: responseBodySize });
});

// When the page shows the rules, by its own clock.
function watchFirstLoad(token) {
  sessionStorage.setItem("longhaul.token", token);
  globalThis.longTasks = [];
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) globalThis.longTasks.push(Math.round(task.duration));
  }).observe({ type: "longtask", buffered: true });
  const look = () => {
    if (globalThis.shownAfter === undefined && document.querySelector("[aria-label^='Rules'] tbody tr")) {
      // When it has been painted.
      requestAnimationFrame(() => setTimeout(() => (globalThis.shownAfter = performance.now())));
      observer.disconnect();
    }
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { childList: true, subtree: true });
}
async function firstLoad(page) {
  await page.addInitScript(watchFirstLoad, token);
  await page.goto(url, { waitUntil: "commit" });
  // Playwright's own scripts would run in the midst of the page's.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await page.waitForFunction(() => globalThis.shownAfter !== undefined);
  return Math.round(await page.evaluate(() => globalThis.shownAfter));
}
// With nothing cached of the page: a context of its own each time.
async function firstLoads(times) {
  const loads = [];
  for (let time = 0; time < times; ++time) {
    await new Promise((resolve) => setTimeout(resolve, 1000)); // Until the browser is at rest.
    const context = await browser.context.browser().newContext({ viewport: { width: 1280, height: 900 } });
    const one = await open(context, url);
    loads.push(await firstLoad(one.page));
    const cached = await one.page.evaluate(
      () => performance.getEntriesByType("resource").filter((entry) => entry.transferSize === 0).length,
    );
    check(cached === 0, `${cached} of a first load came from the cache`);
    check(one.wrong.length === 0, one.wrong.join("\n"));
    await context.close();
  }
  return loads;
}

const shown = { drawn: 0 };
async function drawn() {
  const count = await page.evaluate(() => document.querySelectorAll("canvas, svg.spark, .spark, [data-spark]").length);
  shown.drawn = Math.max(shown.drawn, count);
  return count;
}
async function rows(label) {
  return page.locator(`table[aria-label^='${label}'] tbody tr`).count();
}

try {
  const cold_browser_ms = await firstLoad(page);
  check((await rows("Rules")) <= 110, `the overview shows ${await rows("Rules")} rows at once`);
  await page.getByText(`of ${rules.toLocaleString("en")}`).first().waitFor();
  await page.waitForTimeout(1500);
  const graphs = await drawn();
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  const first_answers = answers.splice(0);

  // All pages, one after the other.
  const table = page.locator("table[aria-label^='Rules, live'], table[aria-label='Rules']");
  for (let seen = await table.locator("tbody tr").count(); seen < rules; ) {
    await page.getByRole("button", { name: /more/i }).first().click();
    await page.waitForFunction(
      ([label, seen]) => document.querySelectorAll(`${label} tbody tr`).length > seen,
      ["table[aria-label^='Rules, live']", seen],
    );
    seen = await table.locator("tbody tr").count();
  }
  await page.waitForTimeout(1000);
  const graphs_all = await drawn();
  const nodes_all = await page.evaluate(() => document.querySelectorAll("*").length);

  // Found by a word, filtered by health.
  const last = `rule-${String(rules - 1).padStart(4, "0")}`;
  await page.getByRole("searchbox").fill(last);
  await page.getByText("1 rule of 1").waitFor();
  await page.goto(`${url}#/?health=warn`);
  await page.getByText(`of ${rules.toLocaleString("en")}`).first().waitFor();

  // A rule and what of it is parked, to the end.
  await page.goto(`${url}#/rules/${last}`);
  const list = page.locator("table[aria-label='Parked'] tbody tr");
  await list.first().waitFor();
  while ((await list.count()) < parked) {
    const seen = await list.count();
    await page.getByRole("region", { name: "Parked" }).getByRole("button", { name: /more/i }).click();
    await page.waitForFunction((seen) => document.querySelectorAll("table[aria-label='Parked'] tbody tr").length > seen, seen);
  }
  check((await list.count()) === parked, `${await list.count()} parked, not ${parked}`);
  check(wrong.length === 0, wrong.join("\n"));
  const long_tasks_ms = await page.evaluate(() => globalThis.longTasks);
  await page.close();
  const first_load_ms = await firstLoads(5);
  console.log(JSON.stringify({ first_load_ms, cold_browser_ms, graphs, nodes, graphs_all, nodes_all, long_tasks_ms, first_answers, answers }));
} catch (error) {
  console.log(JSON.stringify({ failed: `${error.message} at ${page.url()}`, answers }));
  process.exitCode = 1;
}
await browser.close();
