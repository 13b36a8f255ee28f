"""prices.py: `prices update` against a price list that is made up.

Without it: a price that is unclear would be taken for the first one that came.
"""

import http.server
import json
import threading

from harness import World, check, step

ASKED: list[dict] = []
SECOND = {"S3-API-Tier2": ["0.0000004000", "0.0000005000"]}  # Two prices: unclear.


def product(unit: str, *dollars: str) -> str:
    dimensions = {f"A.{number}": {"unit": unit, "beginRange": "0", "pricePerUnit": {"USD": one}}
                  for number, one in enumerate(dollars)}
    return json.dumps({"product": {"attributes": {}},
                       "terms": {"OnDemand": {"A": {"priceDimensions": dimensions}}}})


class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ASKED.append({"target": self.headers["X-Amz-Target"], **body})
        filters = {one["Field"]: one["Value"] for one in body["Filters"]}
        group = filters.get("group", "")
        if "toRegionCode" in filters:
            products = [product("GB", "0.0200000000")]
        elif group == "S3-API-Tier1":
            products = [product("Requests", "0.0000055000")]
        elif group:
            products = [product("Requests", *SECOND.get(group, []))]
        else:
            products = [product("GB-Mo", "0.0230000000")]
        answer = json.dumps({"FormatVersion": "aws_v1", "PriceList": products}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def main() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with World("prices") as world:
        env = {"AWS_ENDPOINT_URL_PRICING": f"http://127.0.0.1:{server.server_port}"}
        step("names that are none, and the beginning of names")
        world.run("prices", "foo").expect(1, "'foo' names no price; there are transfer request")
        world.run("prices", "transfer/moon-1/eu-west-1").expect(1, "'moon-1' is a region that")
        world.run("prices", "gib_second/af-south-1").expect(1, "not known; say it under prices:")
        shown = world.run("prices", "transfer/us-east-1", "--json").expect(0).lines()
        check(len(shown) > 20 and all(line["name"].startswith("transfer/us-east-1/")
                                      for line in shown[:-1]), f"{shown[:3]}")

        step("two regions, one price unclear")
        ran = world.run("prices", "update", "us-east-1", "eu-west-1", env=env).expect(
            1, "request/us-east-1/get/STANDARD: AWS gives several prices")
        check("  transfer/us-east-1/eu-west-1: 0.02\n" in ran.stdout, ran.stdout)
        check("  request/eu-west-1/put/STANDARD: 0.0000055  # 0.000005 in the table" in ran.stdout,
              ran.stdout)
        check("get/STANDARD" not in ran.stdout, ran.stdout)
        check({one["target"] for one in ASKED} == {"AWSPriceListService.GetProducts"}, f"{ASKED}")
        check(len(ASKED) == 8, f"{len(ASKED)} questions")

        step("what it prints is a configuration")
        config = world.work / "longhaul.yaml"
        config.write_text("version: 1\nstores: { a: { type: file, root: ./a } }\n" + ran.stdout)
        world.run("prices", "--config", config, "request/eu-west-1/put/STANDARD").expect(
            0, "$0.0000055", "configuration")

        step("all of it clear, and for a script")
        SECOND["S3-API-Tier2"] = ["0.0000004000"]
        last = world.run("prices", "update", "us-east-1", "--json", env=env).expect(0).lines()[-1]
        check(last["found"] == 4 and last["missing"] == 0, f"{last}")
        world.run("prices", "update", "moon-1", env=env).expect(2, "moon-1")
        step("ok")


if __name__ == "__main__":
    main()
