"""Tables of what ran beside what: figures, goals, and their Markdown."""

import statistics

from harness import Finished, step

MIB = 1 << 20
SCHEMES = (False, True)  # HTTP, HTTPS.


class Table:
    """Rows of one case: what ran, its figures, and goals with what was reached."""

    def __init__(self, title: str, explain: str):
        self.title, self.explain = title, explain
        self.runs: dict[str, dict[bool, list[Finished]]] = {}
        self.bytes_sent: dict[str, float] = {}
        self.goals: list[tuple[str, float, float]] = []
        self.origin = ""  # Commit, date, machine and command.

    def add(self, name: str, finished: Finished, https: bool = False) -> Finished:
        finished.expect(0)
        self.runs.setdefault(name, {}).setdefault(https, []).append(finished)
        step(f"{self.title}: {name}{', HTTPS' if https else ''}: CPU {finished.cpu_seconds:.1f} s, "
             f"wall {finished.seconds:.1f} s, {finished.peak_rss_bytes >> 20} MiB")
        return finished

    def cpu(self, name: str, https: bool = False) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs[name][https])

    def wall(self, name: str, https: bool = False) -> float:
        return statistics.median(run.seconds for run in self.runs[name][https])

    def rss_mib(self, name: str, https: bool = False) -> float:
        return max(run.peak_rss_bytes for run in self.runs[name][https]) / MIB

    def goal(self, text: str, value: float, limit: float) -> None:
        self.goals.append((text, value, limit))

    def goals_of_both(self, text: str, figure, limit: float, limit_https: float) -> None:
        """`figure` of HTTP and of HTTPS, each with its limit."""
        self.goal(text, figure(False), limit)
        self.goal(f"{text}, HTTPS", figure(True), limit_https)

    def _figures(self, name: str, https: bool) -> list[str]:
        if https not in self.runs[name]:
            return ["", "", ""]
        rss = self.rss_mib(name, https)
        return [f"{self.cpu(name, https):.2f}", f"{self.wall(name, https):.1f}",
                f"{rss:.0f}" if rss else ""]

    def markdown(self) -> str:
        """What belongs to the machine: the title and what it explains are the same on all."""
        both = any(True in runs for runs in self.runs.values())
        heads = ["", "CPU s", "wall s", "peak RSS MiB"]
        heads += ["HTTPS: CPU s", "wall s", "peak RSS MiB"] if both else []
        heads += ["MB sent", "runs"]
        lines = [self.origin, "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
        for name, runs in self.runs.items():
            cells = [name, *self._figures(name, False), *(self._figures(name, True) if both else [])]
            cells += [f"{self.bytes_sent[name] / 1e6:.2f}" if name in self.bytes_sent else "",
                      str(max(len(some) for some in runs.values()))]
            lines.append(f"| {' | '.join(cells)} |")
        if self.goals:
            lines += ["", "| goal | reached | limit | |", "|---|---|---|---|"]
            lines += [f"| {text} | {value:.3g} | {limit:.3g} | "
                      f"{'met' if value <= limit else 'missed'} |"
                      for text, value, limit in self.goals]
        return "\n".join(lines) + "\n"
