/** How a series goes on the whole, whatever single values do. */

export interface Point {
  timeMs: number;
  value: number;
}

/** The median of the slopes between all pairs of points (Theil and Sen), per millisecond. */
export function slope(points: readonly Point[]): number {
  const slopes = points.flatMap((one, index) =>
    points.slice(index + 1).map((other) => (other.value - one.value) / (other.timeMs - one.timeMs)),
  );
  slopes.sort((a, b) => a - b);
  return slopes[Math.floor(slopes.length / 2)] ?? 0;
}
