/** All sources of an agent: they run side by side, and live ones gain and lose symbols while they run. */
import { EquipoiseError, type Logger } from "@equipoise/shared";
import { createSource, type SourceOptions } from "./create.ts";
import { refuseOverlap } from "./overlap.ts";
import type { Source, SourceStatus, TickSink } from "./source.ts";
import { merged, type SymbolChanges, SymbolChangesFile } from "./symbol-changes.ts";
import { VenueSource } from "./venue/venue-source.ts";
import { applied, changed, configuredSymbols, named } from "./venue-specs.ts";

export interface SourcesOptions extends SourceOptions {
  /** As configured. */
  specs: readonly string[];
  /** Where changes are remembered. */
  directory: string;
  logger: Logger;
}

export class Sources {
  readonly #options: SourcesOptions;
  readonly #file: SymbolChangesFile;
  readonly #sources: Source[];
  readonly #runs: Promise<boolean>[] = [];
  #changes: Record<string, SymbolChanges>;
  #sink: TickSink | undefined;
  #stopped = false;
  #failed: (error: unknown) => void = () => {};

  /** @throws EquipoiseError EQ_CONFIG_BAD_VALUE, EQ_CONFIG_UNREADABLE */
  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#file = new SymbolChangesFile(options.directory);
    this.#changes = this.#file.read();
    const specs = applied(options.specs, this.#changes);
    refuseOverlap(specs);
    this.#sources = specs.map((text) => createSource(text, options));
  }

  /** @throws EquipoiseError see {@link Source.open} */
  async open(): Promise<void> {
    for (const source of this.#sources) await source.open();
  }

  /** @param failed called with what is no expected failure of a source */
  start(sink: TickSink, failed: (error: unknown) => void): void {
    this.#sink = sink;
    this.#failed = failed;
    for (const source of this.#sources) this.#begin(source, sink);
  }

  /** @param graceMs how long sources may still take what has arrived */
  stop(graceMs: number): void {
    this.#stopped = true;
    for (const source of this.#sources) source.stop(graceMs);
  }

  status(): SourceStatus[] {
    return this.#sources.map((source) => source.status());
  }

  /** Resolves when all have ended. @returns whether all ended well */
  async ended(): Promise<boolean> {
    const ran: boolean[] = [];
    // More may begin meanwhile.
    while (ran.length < this.#runs.length) ran.push((await this.#runs[ran.length]) ?? false);
    return ran.every(Boolean);
  }

  /**
   * Adds symbols to a venue and removes them, and remembers it for the next start.
   * @returns the specifications of all sources as they are now
   * @throws EquipoiseError EQ_CONFIG_BAD_VALUE, EQ_LIMIT_REACHED, EQ_DATA_DIR_UNUSABLE; then nothing has changed
   */
  async change({ venue, ...change }: { venue: string } & SymbolChanges): Promise<string[]> {
    const running = this.#sources
      .filter((source) => source instanceof VenueSource)
      .filter((source) => source.spec.venue.name === venue && source.status().state === "running");
    const after = changed(
      venue,
      running.map(({ spec }) => spec),
      change,
    );
    const changes = { ...this.#changes, [venue]: this.#merged(venue, change) };
    this.#file.write(changes);
    this.#changes = changes;
    this.#settle(
      running,
      after.map(({ text, symbols }) => ({ text, symbols })),
    );
    return this.status().map(({ spec }) => spec);
  }

  #merged(venue: string, change: SymbolChanges): SymbolChanges {
    const before = this.#changes[venue] ?? { add: [], remove: [] };
    return merged(named(venue, before), named(venue, change), configuredSymbols(this.#options.specs, venue));
  }

  /** Those that still have symbols get theirs, the others end, and what nobody has taken begins. */
  #settle(running: readonly VenueSource[], specs: { text: string; symbols: string[] }[]): void {
    const left = [...specs];
    for (const source of running) {
      const at = left.findIndex(({ symbols }) =>
        symbols.some((symbol) => source.spec.symbols.includes(symbol)),
      );
      const [spec] = at === -1 ? [] : left.splice(at, 1);
      if (spec !== undefined) source.follow(spec.symbols);
      else this.#remove(source);
    }
    for (const { text } of left) this.#add(text);
    this.#options.logger.info({ event: "symbolsChanged", sources: this.status().map(({ spec }) => spec) });
  }

  #remove(source: Source): void {
    source.stop();
    this.#sources.splice(this.#sources.indexOf(source), 1);
  }

  #add(text: string): void {
    const source = createSource(text, this.#options);
    this.#sources.push(source);
    if (this.#sink !== undefined && !this.#stopped) this.#begin(source, this.#sink);
  }

  #begin(source: Source, sink: TickSink): void {
    const run = this.#run(source, sink);
    run.catch(this.#failed);
    this.#runs.push(run);
  }

  /** @returns whether the source ended well; one that fails does not take the others with it */
  async #run(source: Source, sink: TickSink): Promise<boolean> {
    try {
      await source.run(sink);
      return true;
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      const { spec } = source.status();
      this.#options.logger.error({ event: "sourceFailed", code: error.code, source: spec }, error.line);
      return false;
    }
  }
}
