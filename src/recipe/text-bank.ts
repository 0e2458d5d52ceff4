/** Texts that other replicas leave of a round, and images meet in the next one beside those of their batch. */
export interface TextBankSettings {
  readonly replicas: number;
  /** Texts that each leaves: of the examples that it saw last, as many as a lane has at most. */
  readonly rows: number;
}

/**
 * Rows of a bank, of all replicas: 12.6 MB for ViT-B. However many replicas there are, and however many texts each of them
 * leaves, a bank has as many, so that the state of a phase keeps its shapes when these change.
 */
export const bankRows = 4096;

/** The bank of a phase in rounds, by the batch and the steps of a lane. */
export const textBankOf = (replicas: number, examples: number): TextBankSettings => ({
  replicas,
  rows: Math.min(Math.floor(bankRows / replicas), examples),
});

/** Where the rows of a slot lie. The last one has what is left over: no row is nobody's. */
export function rowsOfSlot(
  { replicas }: TextBankSettings,
  slot: number,
): { readonly first: number; readonly end: number } {
  const each = Math.floor(bankRows / replicas);
  return { first: slot * each, end: slot === replicas - 1 ? bankRows : (slot + 1) * each };
}
