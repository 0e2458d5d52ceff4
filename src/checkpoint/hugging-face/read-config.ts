import { z } from 'zod';
import { parameterSpecs } from '../../model/parameters.ts';
import { type ModelConfig, wholeVocabulary } from '../../model/sizes.ts';
import { addedProblem, addedTokens } from '../../recipe/added-tokens.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { readJsonText } from '../../runtime/json-text.ts';

// Far above any model there is: a config from outside must not make anyone reserve memory without end.
const size = (most: number) => z.int().positive().max(most);

/** What both towers have; the defaults are those of transformers' SiglipTextConfig and SiglipVisionConfig. */
/** So many faults are told. */
const problemsTold = 10;

const tower = {
  hidden_size: size(8192).default(768),
  intermediate_size: size(65_536).default(3072),
  num_hidden_layers: size(256).default(12),
  num_attention_heads: size(256).default(12),
  hidden_act: z.literal('gelu_pytorch_tanh').default('gelu_pytorch_tanh'),
  layer_norm_eps: z.literal(1e-6).default(1e-6),
};
const text = z.object({
  ...tower,
  vocab_size: z.int(),
  added_tokens: addedTokens.optional(),
  max_position_embeddings: size(4096).default(64),
  projection_size: size(8192).nullish(),
});
const vision = z.object({
  ...tower,
  num_channels: z.literal(3).default(3),
  patch_size: size(256).default(16),
  vision_use_head: z.literal(true).default(true),
});
const configs = {
  siglip: z.object({ text_config: text, vision_config: vision.extend({ image_size: size(4096).default(224) }) }),
  siglip2: z.object({ text_config: text, vision_config: vision.extend({ num_patches: size(65_536).default(256) }) }),
};

/**
 * The shapes of a SiglipModel or Siglip2Model from its `config.json`, which leaves out what is default (spec 2.1).
 * RecipeInvalid with every field that this program can't follow: what it is, and what is allowed.
 */
export function readModelConfig(content: string, file: string): ModelConfig {
  const fail = (problem: string) =>
    new RunnerError('RecipeInvalid', `${file} is not the config of a SigLIP 2 model that can be used: ${problem}`);
  const { value: json, problem } = readJsonText(Buffer.from(content));
  if (problem !== undefined) throw fail(problem);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw fail('it is not a JSON object');
  const type = (json as { model_type?: unknown }).model_type;
  if (type !== 'siglip' && type !== 'siglip2')
    throw fail(`model_type is ${shown(type)}; allowed: "siglip" (SiglipModel), "siglip2" (Siglip2Model)`);
  const parsed = configs[type].safeParse(json);
  if (!parsed.success) {
    const { issues } = parsed.error;
    // A list of a stranger may have a thousand wrong members.
    const problems = issues.slice(0, problemsTold).map(({ path, message }) => {
      const got = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], json);
      return `${path.join('.')} is ${shown(got)}: ${message}`;
    });
    const more = issues.length > problemsTold ? [`and ${issues.length - problemsTold} more`] : [];
    throw fail([...problems, ...more].join('; '));
  }
  const { text_config: t, vision_config: v } = parsed.data;
  for (const [name, { hidden_size: width, num_attention_heads: heads }] of Object.entries({
    text_config: t,
    vision_config: v,
  }))
    if (width % heads !== 0)
      throw fail(`${name}.num_attention_heads is ${heads}; a divisor of hidden_size ${width} is allowed`);
  const rows = wholeVocabulary(t.added_tokens ? { addedTokens: t.added_tokens } : {});
  if (t.vocab_size !== rows) {
    const named = t.added_tokens ? ` with the ${t.added_tokens.length} of text_config.added_tokens` : '';
    throw fail(`text_config.vocab_size is ${t.vocab_size}; ${rows}${named} is allowed`);
  }
  const wrong = addedProblem(t.added_tokens ?? []);
  if (wrong !== null) throw fail(`text_config.added_tokens ${wrong}`);
  const projection = t.projection_size ?? t.hidden_size;
  if (projection !== v.hidden_size)
    throw fail(
      `text_config.projection_size is ${projection}; the image tower's hidden_size ${v.hidden_size} is allowed`,
    );
  const sizes = (from: typeof t | typeof v) => ({
    width: from.hidden_size,
    depth: from.num_hidden_layers,
    mlp: from.intermediate_size,
    heads: from.num_attention_heads,
  });
  const input = 'image_size' in v ? { resolution: v.image_size } : naflexInput(v.num_patches, v.patch_size, fail);
  if (input.resolution < v.patch_size)
    throw fail(`vision_config.patch_size is ${v.patch_size}; at most image_size is allowed`);
  const config: ModelConfig = {
    vision: { ...sizes(v), patch: v.patch_size, ...input },
    text: {
      ...sizes(t),
      length: t.max_position_embeddings,
      vocabulary: t.vocab_size,
      ...(t.added_tokens && { addedTokens: t.added_tokens }),
    },
  };
  if (parameterSpecs(config).some(({ shape }) => !Number.isSafeInteger(4 * shape.reduce((a, b) => a * b, 1))))
    throw fail('its tensors are larger than any that can be read');
  return config;
}

function naflexInput(patches: number, patch: number, fail: (problem: string) => RunnerError) {
  const grid = Math.sqrt(patches);
  if (!Number.isInteger(grid))
    throw fail(`vision_config.num_patches is ${patches}; the square of a whole number is allowed`);
  return { resolution: grid * patch, kind: 'naflex' as const };
}

const shown = (value: unknown) => (JSON.stringify(value) ?? 'missing').slice(0, 80);
