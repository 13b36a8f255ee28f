// uPlot joins neighbours: where times are missing, one that knows nothing stands between.

export function withGaps(
  times: number[],
  series: { values: (number | null)[] }[],
  step: number,
): (number | null)[][] {
  const all: (number | null)[][] = [[], ...series.map(() => [])];
  times.forEach((time, at) => {
    if (at > 0 && time - times[at - 1]! > step * 1.5) {
      all[0]!.push(times[at - 1]! + step);
      series.forEach((_, one) => all[one + 1]!.push(null));
    }
    all[0]!.push(time);
    series.forEach((one, number) => all[number + 1]!.push(one.values[at] ?? null));
  });
  return all;
}
