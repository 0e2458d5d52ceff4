import { RunnerError } from '../../runtime/errors.ts';
import { variable } from '../../runtime/variables.ts';

/** What an hour of a device costs, in whatever money; null where SIGLIP2_PRICE does not say. RecipeInvalid for what is no price. */
export function priceFromEnvironment(env: NodeJS.ProcessEnv = process.env): number | null {
  const said = variable('SIGLIP2_PRICE', env);
  if (said === undefined || said === '') return null;
  const price = Number(said);
  if (Number.isFinite(price) && price >= 0) return price;
  throw new RunnerError(
    'RecipeInvalid',
    `SIGLIP2_PRICE is ${JSON.stringify(said.slice(0, 40))}; allowed: what an hour of a device costs, a number such as 1.5, or nothing`,
  );
}
