import { z } from 'zod';

/**
 * Pictures that show what a model can do: `sheet.json` beside the figures of an evaluation. A pure function of model and data:
 * no times are in it. Texts are as the data have them, cut short: whoever shows them distrusts them.
 */

/** Bytes of a sheet, most of them pictures. */
export const mostSheetBytes = 3 * 2 ** 20;
export const longestText = 160;

const count = z.int().min(0);
const text = z.string().max(2 * longestText);
const base64 = z
  .string()
  .max(24_000)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/);
/** First 16 of the hash of the picture's file: one picture has one name in all sheets. */
const id = z.string().regex(/^[0-9a-f]{16}$/);
const share = z.number().min(0).max(1);
/** [top, left, bottom, right] in shares of the sides. */
const box = z.tuple([share, share, share, share]);
const maybeBox = box.nullable();

export const sheetSchema = z.object({
  version: z.literal(1),
  model: z.object({ name: z.string().max(1000), sha256: z.string().max(64) }),
  /** How many pictures of the data were looked at, and the language of the texts; null where no picture has a text. */
  looked: z.object({ pictures: count, of: count, language: z.string().max(100).nullable(), view: z.string().max(40) }),
  /** WebP, by id. */
  pictures: z.record(id, z.object({ width: z.int().min(1).max(400), height: z.int().min(1).max(400), webp: base64 })),
  /** Nearest first; `right`: it is what the text, or the picture, belongs to. */
  textToImage: z.array(z.object({ text, nearest: z.array(z.object({ id, right: z.boolean() })).max(10) })).max(40),
  imageToText: z.array(z.object({ id, nearest: z.array(z.object({ text, right: z.boolean() })).max(10) })).max(40),
  /** Pictures of a class that were taken for another, most frequent pairs first. */
  confusions: z.array(z.object({ truth: text, taken: text, times: count, ids: z.array(id).max(10) })).max(40),
  /** PNG with a pixel for each patch: the first three principal directions as colours, and where the MAP head looks. */
  maps: z.array(z.object({ id, patches: base64, attention: base64 })).max(40),
  /** PNG likewise: of which of these texts each patch is nearest, in `maskColours` in their order. */
  masks: z.array(z.object({ id, png: base64, texts: z.array(text).max(5) })).max(40),
  boxes: z.array(z.object({ id, boxes: z.array(z.object({ text, box })).max(20) })).max(40),
  /** Of evaluators, `by`, that find boxes: the true one and what was found; null: there is none. Sheets of before have none. */
  found: z
    .array(z.object({ id, by: text, boxes: z.array(z.object({ text, truth: maybeBox, found: maybeBox })).max(20) }))
    .max(100)
    .default([]),
  /** Of some pictures what each was taken for. */
  outcomes: z.array(z.object({ id, truth: text, taken: text, right: z.boolean() })).max(400),
});

/** Of masks, in RGB: they hold 3:1 against white and against black. */
export const maskColours = ['#1f6feb', '#c2500a', '#16803c', '#a626a4', '#8a6d10'] as const;

export type Sheet = z.infer<typeof sheetSchema>;
