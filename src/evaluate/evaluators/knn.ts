import type { z } from 'zod';
import { dot, takeRows } from '../numbers/matrix.ts';
import { nearestOf } from '../numbers/nearest.ts';
import { placeOf } from '../numbers/places.ts';
import { accuracy, hitsOf } from './accuracy.ts';
import type { Evaluator, Figures, Found } from './contract.ts';
import { labelled } from './labels.ts';
import { numberIn, trained } from './probe-data.ts';
import type { knnSettings } from './settings.ts';

type Settings = z.infer<typeof knnSettings>;

const top = [1, 5];
/** Neighbours that the device finds beyond those that vote: what it rounds does not say who is among them. */
const spare = 8;

/**
 * Classification by the nearest pictures of `train`: each votes exp(cosine / temperature) for its class (DINO,
 * `eval_knn.py`; arXiv 1805.01978). A class with as many votes as the right one comes before it.
 */
export const knn: Evaluator<Settings> = {
  needs: () => ({ train: true }),
  protocol: ({ k, temperature }) => ({
    ties: 'against the model',
    features: 'pooled, of length 1',
    votes: `exp(cosine / ${temperature})`,
    k: k.join(', '),
  }),
  async evaluate({ test, train, view, pause }, { k: ks, temperature }) {
    const learned = trained(train!.concepts);
    const { labels, notes } = labelled(test.concepts, numberIn(learned.classes), 'no example in train');
    // Those without a label have no vote.
    const voting = [...learned.labels.keys()].filter((i) => learned.labels[i]! >= 0);
    const [queries, neighbours] = [await test.unit(view), takeRows(await train!.unit(view), voting)];
    const most = Math.min(voting.length, Math.max(...ks) + spare);
    const nearest = await nearestOf(queries, neighbours, most, pause);
    const figures: Record<string, Figures> = {};
    let outcomes: Found['outcomes'] = {};
    const places = ks.map(() => new Int32Array(labels.length).fill(-1));
    const votes = new Float64Array(learned.classes.length);
    for (const [i, own] of labels.entries()) {
      if (own.length === 0) continue;
      const voters = [...nearest.places.subarray(i * nearest.k, (i + 1) * nearest.k)]
        .map((place) => ({ label: learned.labels[voting[place]!]!, place, cosine: dot(queries, i, neighbours, place) }))
        .sort((a, b) => b.cosine - a.cosine || a.place - b.place);
      for (const [at, k] of ks.entries()) {
        votes.fill(0);
        for (const { label, cosine } of voters.slice(0, k)) votes[label]! += Math.exp(cosine / temperature);
        places[at]![i] = placeOf(votes, own);
      }
      if (i % 1024 === 1023) await pause();
    }
    for (const [at, k] of ks.entries()) {
      const classified = { places: places[at]!, labels, classes: learned.classes.length };
      figures[`k${k}`] = accuracy(classified, top);
      outcomes = { ...outcomes, ...hitsOf(places[at]!, top, `k${k}.`) };
    }
    return { figures, notes: [...learned.notes, ...notes], outcomes };
  },
};
