/** Where embeddings of a data set lie: their parts, and lists of these. `embeddings/NAME.json` says that they are whole. */
export const embeddingPrefix = (name: string): string => `embeddings/${name}/`;

/** The manifest of embeddings: they exist when this does. */
export const embeddingKey = (name: string): string => `embeddings/${name}.json`;

/** A list of 1,000 parts, a line each. `id`: hash of what the parts are made by. */
export const partListKey = (name: string, id: string, list: number): string =>
  `${embeddingPrefix(name)}${id}/parts-${String(list).padStart(6, '0')}.jsonl`;

/** Who holds the model of embeddings, as its pin names it. */
export const embeddingHolder = (name: string): string => `embeddings-${name}`;

/** The name of the embeddings that an object below `embeddings/` belongs to. */
export const embeddingNameOf = (key: string): string => /^embeddings\/(.+?)(?:\/.*|\.json)$/.exec(key)?.[1] ?? key;

/** The name of the embeddings that `embeddings/NAME` stands for; null for another kind of name. */
export const embeddingIn = (what: string): string | null => /^embeddings\/([^/@]+)$/.exec(what)?.[1] ?? null;
