import { render } from "preact";
import "./style.css";
import { client, live } from "./app";
import { kFirstRules } from "./pages/overview";
import { parseRoute } from "./route";
import { Shell } from "./shell";

const first = parseRoute(location.hash);
if (first.page === "" && !first.query.search && !first.query.health) {
  client.ahead("v1/rules", kFirstRules); // What the page is opened for, beside the server's version.
}
render(<Shell />, document.getElementById("app")!);
live.start();
