import { maskColours } from '../evaluate/sheet/sheet.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { Album, joined, type Pictured, wrapped } from './album.ts';
import { boxed, foundBoxes } from './boxes.ts';
import { escaped } from './escape.ts';
import type { Section } from './sections.ts';
import type { CuratedExample, PhaseReport, ReportedSheet, RunReport } from './types.ts';

/** Bytes of all sections of pictures together, the pictures among them. */
const room = 2_400_000;
const most = { eachWay: 12, learnable: 12 };

/** The sections of pictures, and what has to be in the page for them. */
export function pictureSections({ sheets, curated, phases }: Pick<RunReport, 'sheets' | 'curated' | 'phases'>): {
  readonly sections: readonly Section[];
  readonly symbols: string;
} {
  const pictures = new Map(
    [...sheets.flatMap(({ sheet }) => Object.entries(sheet.pictures)), ...curated.flatMap(curatedPictures)].map(
      ([id, picture]) => [id, picture] as const,
    ),
  );
  const album = new Album(pictures, room);
  // What the last phase sees is what a reader wants first.
  const inOrder = [...sheets].reverse();
  const sections: Section[] = [
    {
      id: 'disagree',
      title: 'Where phases disagree',
      html: album.take(phases.flatMap((phase) => disagreements(phase, sheets, album))),
      absent: 'No phase and the one that it came from looked at the same pictures, or they agree on all.',
    },
    {
      id: 'learnable',
      title: 'Most and least learnable',
      html: album.take(curated.flatMap((one) => learnable(one, album))),
      absent: 'No phase of this run chose its examples.',
    },
    {
      id: 'pictures',
      title: 'What the models see',
      html: album.take(inOrder.flatMap((one, i) => sheetPieces(one, album, i === 0))),
      absent: 'No sheet of pictures was made: nothing was evaluated, or by an earlier release.',
    },
  ];
  // Read in this order; room is given in the other, since these are small.
  return { sections: [sections[2]!, sections[0]!, sections[1]!], symbols: album.symbols };
}

const nameOf = ({ phase, step, task }: ReportedSheet) => `${phase}@${step}${task === null ? '' : `, ${task}`}`;
const quoted = (text: string) => `<q>${escaped(text, 160)}</q>`;

/** A piece for each kind; those of the first sheet are open. */
function sheetPieces(reported: ReportedSheet, album: Album, open: boolean): Pictured[] {
  const { sheet } = reported;
  const { pictures, of, language } = sheet.looked;
  const looked = `${outOf(pictures, of, 'picture was', 'pictures were')} looked at${language === null ? '' : `, with texts in ${escaped(language, 40)}`}.`;
  const folded = (title: string, intro: string, pieces: readonly Pictured[]): Pictured =>
    pieces.length === 0
      ? { html: '', ids: [] }
      : wrapped(
          `<details${open ? ' open' : ''}><summary>${title}: ${escaped(nameOf(reported))}</summary>\n<p class="absent">${intro}</p>\n`,
          joined(pieces, '\n'),
          '\n</details>',
        );
  return [
    folded(
      'Pictures for texts',
      `${looked} The five nearest to each text, the nearest first; \u2713 is the picture that it belongs to.`,
      [
        ...sheet.textToImage.map(({ text, nearest }) =>
          wrapped(
            `<div class="found"><p>${quoted(text)}</p>`,
            row(
              nearest.map(({ id, right }) =>
                marked(album.show(id, right ? 'the right picture' : 'another picture'), right),
              ),
            ),
            '</div>',
          ),
        ),
      ],
    ),
    folded('Texts for pictures', `${looked} The five nearest to each picture; \u2713 is one of its own.`, [
      ...sheet.imageToText.map(({ id, nearest }) =>
        wrapped(
          '<div class="beside">',
          album.show(id, 'a picture'),
          `<ol>${nearest.map(({ text, right }) => `<li>${quoted(text)}${right ? ' \u2713' : ''}</li>`).join('')}</ol></div>`,
        ),
      ),
    ]),
    folded('Confusions', `${looked} The pairs of classes that were mixed up most.`, [
      ...sheet.confusions.map(({ truth, taken, times, ids }) =>
        wrapped(
          `<div class="found"><p>${quoted(truth)} taken for ${quoted(taken)}, ${counted(times, 'time')}</p>`,
          row(ids.map((id) => album.show(id, truth))),
          '</div>',
        ),
      ),
    ]),
    folded(
      'Patches and attention',
      'Each picture, its patches in the colours of their first three principal components over all of these, and where the MAP head looks: brightest where most.',
      sheet.maps.map(({ id, patches, attention }) => {
        const { width, height } = album.sizeOf(id);
        const map = (png: string, what: string) =>
          `<img class="map" width="${width}" height="${height}" alt="${what}" src="data:image/png;base64,${png}">`;
        return wrapped(
          '<div class="maps">',
          album.show(id, 'a picture'),
          `${map(patches, 'its patches as colours')}${map(attention, 'where the model looks')}</div>`,
        );
      }),
    ),
    folded(
      'Masks by texts',
      'To each picture the five nearest names of classes, and which of them each patch is nearest to.',
      sheet.masks.map(({ id, png, texts }) => {
        const { width, height } = album.sizeOf(id);
        const key = texts.map(
          (text, k) =>
            `<li><svg class="swatch" aria-hidden="true"><rect width="22" height="12" fill="${maskColours[k]}"/></svg>${escaped(text, 160)}</li>`,
        );
        return wrapped(
          '<div class="beside">',
          album.show(id, 'a picture'),
          `<img class="map" width="${width}" height="${height}" alt="which text each patch is nearest to" src="data:image/png;base64,${png}"><ul class="key">${key.join('')}</ul></div>`,
        );
      }),
    ),
    folded(
      'Boxes',
      'Described parts and objects, as the data have them.',
      sheet.boxes.map(({ id, boxes }) => boxed(id, boxes, album)),
    ),
    folded(
      'Boxes that were found',
      'True boxes are drawn through, and what was found has dashes; of a detection the number is its score.',
      sheet.found.map((one) => foundBoxes(one, album)),
    ),
  ];
}

const row = (pieces: readonly Pictured[]): Pictured => wrapped('<div class="pics">', joined(pieces), '</div>');

/** Not by colour alone. */
const marked = (piece: Pictured, right: boolean): Pictured =>
  wrapped(`<span class="pic${right ? ' right' : ''}">`, piece, `${right ? '<b>\u2713</b>' : ''}</span>`);

/** Pictures that one of two phases is right about and the other is not, by the evaluation of one kind. */
function disagreements(phase: PhaseReport, sheets: readonly ReportedSheet[], album: Album): Pictured[] {
  return sheets
    .filter((one) => one.phase === phase.name)
    .flatMap((after) => {
      const before = sheets.find((one) => one.phase === phase.parent && one.task === after.task);
      if (!before) return [];
      const known = new Map(before.sheet.outcomes.map((outcome) => [outcome.id, outcome]));
      const both = after.sheet.outcomes.flatMap((own) => {
        const other = known.get(own.id);
        return other && other.right !== own.right ? [{ own, other }] : [];
      });
      const way = (title: string, gained: boolean): Pictured[] => {
        const some = both.filter(({ own }) => own.right === gained);
        if (some.length === 0) return [];
        const shown = some.slice(0, most.eachWay).map(({ own, other }) => {
          const wrong = gained ? other : own;
          return wrapped(
            '<figure class="one">',
            album.show(own.id, own.truth),
            `<figcaption>${quoted(wrong.truth)}, taken for ${quoted(wrong.taken)}</figcaption></figure>`,
          );
        });
        return [
          wrapped(
            `<h3>${title}: ${some.length} of ${after.sheet.outcomes.length}</h3><div class="pics">`,
            joined(shown),
            '</div>',
          ),
        ];
      };
      const names = [escaped(nameOf(after)), escaped(`${before.phase}@${before.step}`)];
      return [
        ...way(`Right in ${names[0]}, wrong in ${names[1]}`, true),
        ...way(`Wrong in ${names[0]}, right in ${names[1]}`, false),
      ];
    });
}

/** Names of pictures of a phase that chooses: what lies beside its figures has none of its own. */
const curatedId = (phase: string, kind: 'most' | 'least', i: number) =>
  `c-${[...phase].map((character) => character.codePointAt(0)!.toString(16)).join('')}-${kind}-${i}`;

const curatedPictures = ({ phase, most: best, least }: RunReport['curated'][number]) =>
  (['most', 'least'] as const).flatMap((kind) =>
    (kind === 'most' ? best : least)
      .slice(0, most.learnable)
      .map(({ picture }, i) => [curatedId(phase, kind, i), picture] as const),
  );

function learnable({ phase, step, most: best, least }: RunReport['curated'][number], album: Album): Pictured[] {
  const half = (title: string, kind: 'most' | 'least', examples: readonly CuratedExample[]): Pictured =>
    wrapped(
      `<h3>${title}: ${escaped(phase)}, up to step ${step}</h3><div class="pics">`,
      joined(
        examples
          .slice(0, most.learnable)
          .map(({ text, score, chosen }, i) =>
            wrapped(
              '<figure class="one">',
              album.show(curatedId(phase, kind, i), text),
              `<figcaption>${quoted(text)}, ${score.toFixed(3)}${chosen ? ', chosen' : ''}</figcaption></figure>`,
            ),
          ),
      ),
      '</div>',
    );
  return [half('Most learnable', 'most', best), half('Least learnable', 'least', least)];
}
