/** Randomness that is the same for the same seed: sfc32, Chris Doty-Humphrey, PractRand 0.93, `sfc.h`. */

/** Rounds after which every bit of the seed has reached every bit of the state, as in PractRand. */
const mixingRounds = 15;

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param stream names what is drawn; streams of one seed are independent of each other */
  constructor(seed: number, stream: string) {
    this.#a = seed | 0;
    this.#b = fnv1a(stream, 0x811c9dc5);
    this.#c = fnv1a(stream, seed ^ 0x5bd1e995);
    for (let round = 0; round < mixingRounds; round++) this.#next();
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in (0, 1): neither end is ever drawn. */
  uniform(): number {
    return (this.#next() + 0.5) / 4_294_967_296;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** An index below `count`. */
  index(count: number): number {
    return Math.floor(this.uniform() * count);
  }

  exponential(mean: number): number {
    return -mean * Math.log(this.uniform());
  }

  /** @param variation standard deviation over mean */
  lognormal(mean: number, variation: number): number {
    const variance = Math.log(1 + variation ** 2);
    const normal = Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
    return mean * Math.exp(Math.sqrt(variance) * normal - variance / 2);
  }
}

/** FNV-1a, 32 bits. */
function fnv1a(text: string, basis: number): number {
  let hash = basis | 0;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}
