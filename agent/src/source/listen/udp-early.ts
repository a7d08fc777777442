/** Lines of datagrams that came before anybody took them, in bounded memory; what is beyond it is counted. */
export interface ReceivedLine {
  text: string;
  receivedTimeUs: number;
}

const maxLength = 4 * 2 ** 20;

export class EarlyLines {
  /** More may come while they are taken. */
  readonly waiting: ReceivedLine[] = [];
  dropped = 0;
  /** When the first that was dropped came. */
  droppedSinceUs: number | undefined;
  #length = 0;

  add(line: ReceivedLine): void {
    if (this.#length + line.text.length > maxLength) {
      this.dropped += 1;
      this.droppedSinceUs ??= line.receivedTimeUs;
      return;
    }
    this.#length += line.text.length;
    this.waiting.push(line);
  }
}
