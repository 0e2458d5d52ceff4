/** One mistake of a recipe: the fields that it is about (dotted paths), and what to say. */
export interface Problem {
  readonly fields: readonly string[];
  readonly message: string;
}
