/** Figures for people. */

export const count = (value: number): string => value.toLocaleString("en-US");

/** `1 gap`, `2 gaps`: with a noun that takes an s. */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Math.round((bytes / 2 ** (10 * step)) * 10) / 10} ${units[step]}`;
}

/** With the largest unit that fits, as `3 min`. */
export function duration(ms: number): string {
  const units: [string, number][] = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1_000],
  ];
  const [unit, length] = units.find(([, length]) => ms >= length) ?? ["ms", 1];
  return `${Math.round(ms / length)} ${unit}`;
}
