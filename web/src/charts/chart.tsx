// A chart over time, by uPlot, which is loaded when the first is drawn. Colours come from the style sheet, so that both themes have theirs;
// gaps in what the server knows are gaps in the line.

import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useTheme } from "../theme";
import { withGaps } from "./gaps";

export interface Series {
  name: string;
  values: (number | null)[];
  colour: "accent" | "second" | "bad" | "quiet";
  fill?: boolean;
  bars?: boolean;
}

const kHeight = 170;

// Hours by 24 and dates from year to day, the same everywhere. uPlot's form: an increment, what
// stands at it, and what stands below where the year, month or day changes.
const kDay = "\n{MM}-{DD}";
const kTimes: uPlot.Axis.Values = [
  [86_400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
  [86_400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", kDay, null, kDay, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", kDay, null, kDay, null, null, null, 1],
];
const kByPowersOfTwo = Array.from({ length: 55 }, (_, power) => 2 ** power);

function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function Chart({
  title,
  times,
  series,
  format,
  step,
  from,
  to,
  days,
  binary,
}: {
  title: string;
  times: number[]; // Seconds since 1970.
  series: Series[];
  format: (value: number) => string;
  step: number; // More seconds than this between two times: a gap.
  from?: number;
  to?: number;
  days?: boolean;
  binary?: boolean; // Bytes: lines stand at round numbers of KiB, MiB and so on.
}) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const plot = useRef<uPlot | null>(null);
  const filled = withGaps(times, series, step) as unknown as uPlot.AlignedData;
  const latest = useRef(filled);
  latest.current = filled;
  const kinds = series.map((one) => one.name).join();
  const limits = useRef({ from, to });
  limits.current = { from, to };

  const draw = (UPlot: typeof uPlot, element: HTMLElement) => {
    const axis = {
      stroke: cssColour("quiet"),
      grid: { stroke: cssColour("line"), width: 1 },
      ticks: { stroke: cssColour("line"), width: 1, size: 4 },
      font: "11px system-ui, sans-serif",
    };
    const options: uPlot.Options = {
      width: Math.max(200, element.clientWidth),
      height: kHeight,
      cursor: { y: false, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: {
          time: true,
          range: (_, least, most) => [limits.current.from ?? least, limits.current.to ?? most],
        },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] },
      },
      axes: [
        { ...axis, space: 60, values: kTimes },
        {
          ...axis,
          size: 74,
          space: 34,
          ...(binary && { incrs: kByPowersOfTwo }),
          values: (_, values) => values.map((value) => (value === null ? "" : format(value))),
        },
      ],
      series: [
        {
          label: days ? "Day" : "Time",
          value: days ? "{YYYY}-{MM}-{DD}" : "{MM}-{DD} {HH}:{mm}",
        },
        ...series.map((one): uPlot.Series => {
          const colour = cssColour(one.colour);
          return {
            label: one.name,
            stroke: colour,
            width: 1.5,
            ...(one.fill && { fill: `${colour}22` }),
            ...(one.bars && { paths: UPlot.paths.bars!({ size: [0.6, 40] }), fill: colour }),
            points: { show: false },
            value: (_, value) => (value === null || value === undefined ? "–" : format(value)),
          };
        }),
      ],
    };
    const made = new UPlot(options, latest.current, element);
    plot.current = made;
    const sized = new ResizeObserver(() => {
      const width = Math.max(200, element.clientWidth);
      if (width !== made.width) made.setSize({ width, height: kHeight });
    });
    sized.observe(element);
    return () => {
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
  };

  useEffect(() => {
    const element = place.current!;
    let end: (() => void) | null = () => {};
    import("uplot").then(
      ({ default: UPlot }) => {
        if (end) end = draw(UPlot, element);
      },
      () => {
        if (end) element.textContent = "What draws charts did not load: load the page anew.";
      },
    );
    return () => {
      end?.();
      end = null;
    };
  }, [theme, kinds, days]);

  useEffect(() => {
    plot.current?.setData(filled);
  }, [times, series]);

  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={place} role="img" aria-label={`${title}. ${describe(series, format)}`} />
    </figure>
  );
}

// The chart in words, for those who do not see it.
export function describe(series: Series[], format: (value: number) => string): string {
  return series
    .map((one) => {
      const known = one.values.filter((value): value is number => value !== null);
      if (known.length === 0) return `${one.name}: nothing is known yet`;
      return `${one.name}: ${format(known[known.length - 1]!)} at the end, at most ${format(
        known.reduce((most, value) => Math.max(most, value), 0),
      )}`;
    })
    .join(". ");
}

// A line of 24 hours in the height of text.
export function Sparkline({
  times,
  values,
  label,
}: {
  times: number[];
  values: (number | null)[];
  label: string;
}) {
  const width = 120;
  const height = 22;
  const most = values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  const first = times[0] ?? 0;
  const span = Math.max(1, (times[times.length - 1] ?? 1) - first);
  let path = "";
  let pen = false;
  values.forEach((value, at) => {
    if (value === null) {
      pen = false;
      return;
    }
    const x = ((times[at]! - first) / span) * (width - 2) + 1;
    const y = height - 2 - (most > 0 ? (value / most) * (height - 4) : 0);
    path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path d={`M1 ${height - 2}H${width - 1}`} class="spark-base" />
      {path && <path d={path} class="spark-line" />}
    </svg>
  );
}
