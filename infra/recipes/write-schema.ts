import { writeFileSync } from 'node:fs';
import { recipeJsonSchema } from '../../src/recipe/allowed.ts';

/** `npm run schema`: writes the JSON Schema that editors check recipes against. A test proves that it is current. */
writeFileSync(new URL('recipe.schema.json', import.meta.url), JSON.stringify(recipeJsonSchema()));
