/** A test, or whatever else ends and then undoes what was made for it. */
export interface Teardown {
  teardown(callback: () => unknown): unknown;
}
