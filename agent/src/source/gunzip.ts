/** Decompression that gives everything before a fault, and then the fault. */
import { finished } from "node:stream/promises";
import { createGunzip } from "node:zlib";

/**
 * node:zlib's stream drops what it holds when it fails, so a truncated file would lose its end. Writing one chunk
 * after the other and taking its output at once keeps everything, in memory bounded by one chunk's expansion.
 * @throws the zlib error, after the last whole output
 */
export async function* gunzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: 64 * 1024 });
  const output: Buffer[] = [];
  gunzip.on("data", (part: Buffer) => output.push(part));
  const end = finished(gunzip);
  end.catch(() => undefined); // awaited below; a fault may come before that
  let goOn = (): void => undefined;
  gunzip.on("error", () => goOn()); // a write that fails is never called back
  try {
    for await (const chunk of chunks) {
      await new Promise<void>((resolve) => {
        goOn = resolve;
        gunzip.write(chunk, () => resolve());
      });
      yield* output.splice(0);
      if (gunzip.errored) break;
    }
    gunzip.end();
    const fault = await end.then(
      () => undefined,
      (error: unknown) => error,
    );
    yield* output.splice(0);
    if (fault !== undefined) throw fault;
  } finally {
    gunzip.destroy();
  }
}
