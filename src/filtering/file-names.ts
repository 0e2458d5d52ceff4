const pictureEnding = '\\.(?:jpe?g|jpe|png|gif|webp|avif|heic|heif|tiff?|bmp|svg|raw|cr2|nef|dng|psd)';

/** An ending of a picture's file with something before it. One character is enough: a longer part would be sought from each place anew. */
const endsLikeFile = new RegExp(`[\\p{L}\\p{N}_)\\]-]${pictureEnding}(?![\\p{L}\\p{N}])`, 'iu');
const ending = new RegExp(`${pictureEnding}$`, 'iu');

/**
 * What cameras, telephones and programs call pictures: DCF names (CIPA DC-009: four characters and four digits, such as
 * DSC_0001 and P1010023), names by date, and those that nobody changed.
 */
const given =
  /^(?:img|dsc[nf]?|dcim|pict?|p|mvi|mov|gopr|dji|sam|cimg|imag|hpim|vlcsnap|wp|pxl|vid|fullsizerender|photo|image|picture|foto|bild|scan|untitled|unnamed|unbenannt|download|file|screen ?shot|bildschirmfoto|whatsapp image|snapchat|fb img|received|signal|mmexport|collage)(?:[\d(): ]|at|am|um|pm|edit|ed|copy|final|cropped|scaled|small|large|thumb)*$/u;

/** Longer texts are no name: names of files have at most 255 bytes. */
const longestName = 255;

/** Whether a text has the name of a picture's file in it. */
export const hasFileName = (text: string): boolean => endsLikeFile.test(text);

/** Whether a text is such a name and nothing else: with the ending of a picture and without blanks, or as a camera gives it. */
export function isFileName(text: string): boolean {
  const whole = text.trim();
  if (whole.length > longestName) return false;
  if (ending.test(whole) && !/\s/u.test(whole)) return true;
  const bare = whole
    .replace(ending, '')
    .toLowerCase()
    .replaceAll(/[._-]+/gu, ' ')
    .trim();
  // A word such as photo or image alone is a poor caption and no name: a list of boilerplate says so where it is meant.
  return (
    /\d/u.test(bare) && (given.test(bare) || /^[\d :x()]+$/u.test(bare) || /^[0-9a-f]{8,}(?: [0-9a-f]+)*$/u.test(bare))
  );
}
