/** Groups of horizontal bars with a common scale. */
export interface BarChart {
  readonly title: string;
  /** What the bars of each group stand for, in order. */
  readonly series: readonly string[];
  readonly groups: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** A value with a line through all groups. */
  readonly mark: number;
}

const WIDTH = 760;
const LABELS = 120;
/** Room for a number behind the longest bar. */
const NUMBERS = 50;
const BAR = 11;
const GAP = 9;
const HEAD = 58;
const COLOURS = ["#2f6fde", "#93b4ee", "#9a9a9a", "#d99a2b", "#5a5a5a"];

const escapeText = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The chart as SVG, legible on a light background and on a dark one. */
export function barChart({ title, series, groups, mark }: BarChart): string {
  const group = series.length * BAR + GAP;
  const height = HEAD + groups.length * group;
  const longest = Math.max(mark, ...groups.flatMap(({ values }) => values));
  const scale = (WIDTH - LABELS - NUMBERS) / longest;
  const colour = (index: number): string => COLOURS[index % COLOURS.length] as string;
  const text = (x: number, y: number, content: string, more = ""): string =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${more}>${escapeText(content)}</text>`;

  const legend = series.flatMap((name, index) => {
    const x = LABELS + (index * (WIDTH - LABELS)) / series.length;
    return [
      `<rect x="${x.toFixed(1)}" y="30" width="10" height="10" fill="${colour(index)}"/>`,
      text(x + 15, 39, name),
    ];
  });
  const bars = groups.flatMap(({ name, values }, row) => {
    const top = HEAD + row * group;
    const middle = top + (series.length * BAR) / 2 + 4;
    return [
      text(LABELS - 8, middle, name, ' text-anchor="end"'),
      ...values.flatMap((value, index) => {
        const y = top + index * BAR;
        const width = value * scale;
        return [
          `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" fill="${colour(index)}"/>`,
          text(LABELS + width + 4, y + BAR - 3, value.toFixed(2), ' font-size="9"'),
        ];
      }),
    ];
  });
  const line = LABELS + mark * scale;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" fill="#808080" role="img">`,
    `<title>${escapeText(title)}</title>`,
    text(LABELS, 18, title, ' font-size="13" font-weight="bold"'),
    ...legend,
    ...bars,
    `<path d="M${line.toFixed(1)} ${HEAD - 8}V${height - GAP / 2}" stroke="#808080" stroke-dasharray="3 3"/>`,
    "</svg>",
    "",
  ].join("\n");
}
