/** The clock's bytes (Motorola MC146818A data sheet, table 2) and what they stand for. */

export const RTC_SECONDS = 0x00;
export const RTC_SECONDS_ALARM = 0x01;
export const RTC_MINUTES = 0x02;
export const RTC_MINUTES_ALARM = 0x03;
export const RTC_HOURS = 0x04;
export const RTC_HOURS_ALARM = 0x05;
export const RTC_DAY_OF_WEEK = 0x06;
export const RTC_DAY_OF_MONTH = 0x07;
export const RTC_MONTH = 0x08;
export const RTC_YEAR = 0x09;
/** Not in the chip: where a PC keeps it. */
export const RTC_CENTURY = 0x32;

export const SECONDS_PER_DAY = 86_400;

const PM = 1 << 7;
/** An alarm byte with both top bits set matches every value. */
const ANY = 0xc0;

/** How the bytes are written: register B's DM and 24/12. */
export interface ByteFormat {
  readonly binary: boolean;
  readonly hours24: boolean;
}

export const encodeNumber = (value: number, { binary }: ByteFormat): number =>
  binary ? value : (Math.floor(value / 10) << 4) | (value % 10);

export const decodeNumber = (byte: number, { binary }: ByteFormat): number =>
  binary ? byte : (byte >> 4) * 10 + (byte & 0xf);

const encodeHour = (hour: number, format: ByteFormat): number => {
  if (format.hours24) return encodeNumber(hour, format);
  return encodeNumber(hour % 12 || 12, format) | (hour >= 12 ? PM : 0);
};

const decodeHour = (byte: number, format: ByteFormat): number => {
  if (format.hours24) return decodeNumber(byte, format);
  return (decodeNumber(byte & ~PM, format) % 12) + ((byte & PM) !== 0 ? 12 : 0);
};

/**
 * Writes a time to the clock's bytes.
 * @param seconds since 1970-01-01T00:00:00Z
 */
export const encodeTime = (seconds: number, format: ByteFormat, bytes: Uint8Array): void => {
  const date = new Date(seconds * 1000);
  const year = date.getUTCFullYear();
  bytes[RTC_SECONDS] = encodeNumber(date.getUTCSeconds(), format);
  bytes[RTC_MINUTES] = encodeNumber(date.getUTCMinutes(), format);
  bytes[RTC_HOURS] = encodeHour(date.getUTCHours(), format);
  bytes[RTC_DAY_OF_WEEK] = encodeNumber(date.getUTCDay() + 1, format);
  bytes[RTC_DAY_OF_MONTH] = encodeNumber(date.getUTCDate(), format);
  bytes[RTC_MONTH] = encodeNumber(date.getUTCMonth() + 1, format);
  bytes[RTC_YEAR] = encodeNumber(year % 100, format);
  bytes[RTC_CENTURY] = encodeNumber(Math.floor(year / 100), format);
};

/**
 * The time that the clock's bytes say, in seconds since 1970. The day of the week follows from the
 * date. Bytes out of range carry over (61 seconds are the next minute's first).
 */
export const decodeTime = (bytes: Uint8Array, format: ByteFormat): number => {
  const number = (index: number): number => decodeNumber(bytes[index] ?? 0, format);
  const date = new Date(0);
  date.setUTCFullYear(
    number(RTC_CENTURY) * 100 + number(RTC_YEAR),
    number(RTC_MONTH) - 1,
    number(RTC_DAY_OF_MONTH),
  );
  date.setUTCHours(decodeHour(bytes[RTC_HOURS] ?? 0, format));
  date.setUTCMinutes(number(RTC_MINUTES));
  date.setUTCSeconds(number(RTC_SECONDS));
  return date.getTime() / 1000;
};

/**
 * The first second after `seconds` that matches the alarm bytes; infinite if none ever does.
 */
export const nextAlarm = (seconds: number, bytes: Uint8Array, format: ByteFormat): number => {
  const field = (index: number, decode: typeof decodeNumber): number | undefined => {
    const byte = bytes[index] ?? 0;
    return (byte & ANY) === ANY ? undefined : decode(byte, format);
  };
  const hour = field(RTC_HOURS_ALARM, decodeHour);
  const minute = field(RTC_MINUTES_ALARM, decodeNumber);
  const second = field(RTC_SECONDS_ALARM, decodeNumber);
  let candidate = seconds + 1;
  while (candidate <= seconds + SECONDS_PER_DAY) {
    const ofDay = ((candidate % SECONDS_PER_DAY) + SECONDS_PER_DAY) % SECONDS_PER_DAY;
    if (hour !== undefined && Math.floor(ofDay / 3600) !== hour) candidate += 3600 - (ofDay % 3600);
    else if (minute !== undefined && Math.floor(ofDay / 60) % 60 !== minute) {
      candidate += 60 - (ofDay % 60);
    } else if (second !== undefined && ofDay % 60 !== second) candidate += 1;
    else return candidate;
  }
  return Number.POSITIVE_INFINITY;
};
