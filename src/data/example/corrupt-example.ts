/** This example can't be used; the run goes on without it. Never thrown for read errors. */
export class CorruptExample extends Error {
  override readonly name = 'CorruptExample';
}
