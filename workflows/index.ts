/** Every workflow type by the name that the Temporal CLI starts it by. */
export { siglip2Annotate } from './annotate.ts';
export { siglip2Embed } from './embed.ts';
export { siglip2Evaluate } from './evaluate.ts';
export { siglip2Filter } from './filter.ts';
export { siglip2Pack } from './pack.ts';
export { siglip2Phase } from './phase.ts';
export { siglip2Recipe } from './recipe.ts';
