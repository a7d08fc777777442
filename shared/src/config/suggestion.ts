/** What somebody may have meant who wrote a name that there is not. */

/** How many letters may be wrong, added or left out, and one more for so many letters. */
const leastMistakes = 1;
const lettersPerMistake = 4;
/** What is shorter ends too many names. */
const minEndingLetters = 4;

/**
 * `, did you mean X?`, or nothing when no candidate is close; letter case and separators do not count.
 * @param candidates one that ends with the name is close, for groups are easily forgotten
 * @param prefix what all of them begin with
 */
export function didYouMean(name: string, candidates: Iterable<string>, prefix = ""): string {
  const wanted = lettersOf(name.slice(prefix.length));
  const allowed = leastMistakes + Math.floor(wanted.length / lettersPerMistake);
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const letters = lettersOf(candidate.slice(prefix.length));
    const ends = wanted.length >= minEndingLetters && letters.endsWith(wanted);
    const distance = ends ? 1 : distanceOf(wanted, letters);
    if (distance < (best?.distance ?? allowed + 1)) best = { candidate, distance };
  }
  return best === undefined ? "" : `, did you mean ${best.candidate}?`;
}

const lettersOf = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

/** Levenshtein's distance. */
function distanceOf(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const line = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      line.push(Math.min(replaced, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1));
    }
    above = line;
  }
  return above.at(-1) ?? 0;
}
