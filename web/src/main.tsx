import { render } from "preact";
import "./style.css";
import { live } from "./app";
import { Shell } from "./shell";

render(<Shell />, document.getElementById("app")!);
live.start();
