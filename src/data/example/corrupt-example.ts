/** This example can't be used; the run goes on without it. Never thrown for read errors. */
export class CorruptExample extends Error {
  override readonly name = 'CorruptExample';
}

/** Null for an example that can't be used; all other errors go on. */
export async function unlessCorrupt<T>(make: () => Promise<T>): Promise<T | null> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof CorruptExample) return null;
    throw error;
  }
}
