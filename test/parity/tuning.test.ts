import { expect, it } from 'vitest';
import { phaseState } from '../../src/train/phase-state.ts';
import { follow, tuning, tuningOf } from './tuning.ts';

const top = {
  train: ['imageBlocks.1', 'vision_model.post_layernorm.*', 'mapHead', 'text'],
  freeze: ['text_model.*bias', 'tokenTable'],
};

it.each([
  ['texts', 'named', 1, { train: ['text', 'scaleAndBias'] }],
  ['texts', 'left by a multiplier of 0', 5, { optimizer: { ...tuning.optimizer, multipliers: { vision: 0 } } }],
  ['top', 'named', 5, top],
] as const)(
  'twenty steps of a part of a model have the losses of PyTorch with the rest frozen: %s %s, in %i micro-batches',
  async (part, _, accumulate, change) => {
    const { settings: whole, ...given } = await tuningOf();
    const settings = { ...whole, ...change, accumulate };
    const { parameters, frozen } = phaseState(settings);
    const trained = parameters.map(({ name }) => name).filter((name) => !frozen.has(name));
    expect(trained).toEqual(expect.arrayContaining([...tuning[part].names]));
    expect(trained).toHaveLength(tuning[part].names.length);
    follow(settings, given, tuning[part]);
  },
);

it('rates that decay by layer are those of timm, and their twenty steps those of AdamW', async () => {
  const { settings: whole, ...given } = await tuningOf();
  const { decay, shares } = tuning.layerDecay;
  const settings = { ...whole, optimizer: { ...whole.optimizer, layerDecay: decay } };
  for (const { name, share = 1 } of phaseState(settings).parameters) expect(share, name).toBeCloseTo(shares[name]!, 12);
  follow(settings, given, tuning.layerDecay);
});

it('a pull to the start has the losses of PyTorch where AdamW is followed by one', async () => {
  const { settings: whole, ...given } = await tuningOf();
  const settings = { ...whole, optimizer: { ...whole.optimizer, startDecay: tuning.startDecay.decay } };
  follow(settings, given, tuning.startDecay);
});
