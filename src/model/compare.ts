import type { ModelConfig } from './sizes.ts';

/** A field in which the model that a recipe says is not the one that a checkpoint holds. */
export interface ModelDifference {
  /** Tower and name, such as vision.depth. */
  readonly field: string;
  readonly held: number | string;
  readonly wanted: number | string;
  /** Whether resampling leads from one to the other, which a phase asks for by its `vision`. */
  readonly resampled: boolean;
}

const size = ['width', 'depth', 'mlp', 'heads'] as const;

/**
 * Where two models differ, field by field in the order of a recipe. The rows of the token table are none of it: files
 * hold all of them, however many are trained.
 */
export function modelDifferences(held: ModelConfig, wanted: ModelConfig): ModelDifference[] {
  const kind = ({ vision }: ModelConfig) => vision.kind ?? 'fixed';
  const vision = [...size, 'patch', 'resolution'] as const;
  const text = [...size, 'length'] as const;
  const fields = [
    ...vision.map((name) => [`vision.${name}`, held.vision[name], wanted.vision[name]] as const),
    ['vision.kind', kind(held), kind(wanted)] as const,
    ...text.map((name) => [`text.${name}`, held.text[name], wanted.text[name]] as const),
    ['text.addedTokens', addedText(held), addedText(wanted)] as const,
  ];
  return fields
    .filter(([, a, b]) => a !== b)
    .map(([field, held, wanted]) => ({
      field,
      held: short(held),
      wanted: short(wanted),
      resampled: /\.(patch|resolution|kind)$/.test(field),
    }));
}

/** Ids go by the order, so that the same tokens in another order are others. */
const addedText = ({ text: { addedTokens = [] } }: ModelConfig) => JSON.stringify(addedTokens);

const short = <T extends number | string>(value: T) =>
  typeof value === 'string' && value.length > 160 ? `${value.slice(0, 157)}...` : value;
