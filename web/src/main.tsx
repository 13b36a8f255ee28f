import { render } from "preact";
import "./style.css";
import { client, live } from "./app";
import { kFirstRules } from "./pages/overview";
import { parseRoute } from "./route";
import { Shell } from "./shell";

const first = parseRoute(location.hash);
const ahead =
  first.page === "" && !first.query.search && !first.query.health
    ? client.ahead("v1/rules", kFirstRules) // What the page is opened for, beside the server's version.
    : Promise.resolve();
// What is drawn first is what was asked for, where the server answers at once: to draw a page that
// waits takes a browser as long.
let shown = false;
function show() {
  if (shown) return;
  shown = true;
  render(<Shell />, document.getElementById("app")!);
}
live.start();
const stop = live.watch(() => {
  stop();
  void ahead.then(show);
});
setTimeout(show, 100);
