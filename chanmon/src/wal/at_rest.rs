//! A log that nobody has open, read as it lies there. How long its segments are, and its geometry, are found in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use cloakroom::journal::{
    Damage, DamageKind, HeaderError, Item, Keys, Kind, Live, LogDevice, Memory, OpenPolicy,
    RECORD_HEADER, RecordHeader, RecoverError, RecoveryReport, Remembered, SEGMENT_HEADER,
    SegmentHeader, SlotState, recover, scan,
};
use cloakroom::std_layer::journal::{Directory, Log, LogFile, LogFiles, OpenError, Options};

use super::{End, Result};
use crate::trouble::Trouble;

/// What is read at a time.
const WINDOW: usize = 256 << 10;

/// The files, locked, for reading alone.
pub struct AtRest {
    directory: Directory,
    files: Vec<File>,
    /// The slots' numbers.
    pub numbers: Vec<u32>,
    /// What each slot says of itself, by either of its two headers.
    pub headers: Vec<std::result::Result<SegmentHeader, HeaderError>>,
    segment_bytes: u32,
    geometry: u32,
}

/// What a recovery would find.
pub struct Found {
    pub report: RecoveryReport,
    pub log_id: u128,
    pub damage: Vec<Damage>,
    pub live: Vec<Live>,
    /// None unless they were asked for.
    pub keys: Keys<Vec<Remembered>>,
}

impl AtRest {
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let unread = |error: OpenError| match error {
            OpenError::Locked { pid } => End::InUse(pid),
            // Whatever it is, nothing was to be written.
            OpenError::ReadOnly => Trouble::new(format!("must not read {shown}"))
                .advise("Run chanmon as the user whose log it is.")
                .into(),
            error => Trouble::new(format!("cannot read {shown}: {error}")).into(),
        };
        let directory = Directory::lock_existing(path, false).map_err(unread)?;
        let mut numbers = directory.list().map_err(|error| unread(error.into()))?;
        numbers.sort_unstable();
        let files = numbers.iter().map(|&number| directory.open(number, false));
        let files = files.collect::<io::Result<Vec<File>>>();
        let files = files.map_err(|error| unread(error.into()))?;
        let headers: Vec<_> = files.iter().map(header).collect();
        let newer = headers.iter().find_map(|header| match header {
            Err(HeaderError::Newer { major, incompatible }) => Some((major, incompatible)),
            _ => None,
        });
        if let Some((major, incompatible)) = newer {
            let what = format!("{shown} is of format {major}, with extensions {incompatible:#x}");
            let advice = "It is newer than this chanmon: use the one that belongs to it.";
            return Err(Trouble::new(what).advise(advice).into());
        }
        let known = headers.iter().flatten().next().ok_or_else(|| {
            let what = format!("{shown} holds no log: no file slot-NNNN.log with a header");
            Trouble::new(what).advise("Is it the directory that the process opens?")
        })?;
        let segment_bytes = u32::try_from(known.segment_bytes).ok();
        let segment_bytes = segment_bytes.filter(|&bytes| bytes % 8 == 0 && bytes >= 256);
        let geometry = known.geometry;
        let segment_bytes = segment_bytes.ok_or_else(|| {
            Trouble::new(format!("{shown} says that it has segments of an impossible length"))
        })?;
        Ok(Self { directory, files, numbers, headers, segment_bytes, geometry })
    }

    /// What it comes to, with damage passed over.
    pub fn recover(&mut self) -> Result<Found> {
        self.recover_with(&Keys::new(Vec::new(), 0))
    }

    /// With the keys that are remembered: all that the log still has, however few of them a process remembers.
    pub fn recover_with_keys(&mut self) -> Result<Found> {
        let mut counts = BTreeMap::<u16, usize>::new();
        for (place, _) in self.segments() {
            self.scan(place, |item| {
                let Item::Record { header, .. } = item else { return };
                *counts.entry(header.chan).or_default() += header.key_count();
            })?;
        }
        counts.retain(|_, keys| *keys > 0);
        let window = counts.values().max().copied().unwrap_or(0);
        let places = vec![Remembered::default(); counts.len() * window];
        self.recover_with(&Keys::new(places, window))
    }

    fn recover_with(&mut self, keys: &Keys<Vec<Remembered>>) -> Result<Found> {
        let (mut damages, mut messages) = (64, 1024);
        let mut window = vec![0; WINDOW];
        let geometry = self.geometry;
        loop {
            let mut report = RecoveryReport::default();
            let memory = Memory {
                window: &mut window,
                slots: &mut vec![SlotState::default(); self.files.len()],
                damage: &mut vec![Damage::default(); damages],
                report: &mut report,
                // Of 8 entries 7 can be used.
                live: vec![Live::default(); messages + messages / 7 + 2],
                keys: keys.clone(),
            };
            match recover(self, memory, OpenPolicy::Salvage, geometry) {
                Ok(found) => {
                    let (report, mut damage) = (*found.report, found.damage.to_vec());
                    for damage in damage.iter_mut().filter(|it| it.kind == DamageKind::Header) {
                        // A file's place among them all, and its name: they differ where one is gone.
                        damage.from.offset = self.numbers[damage.from.offset as usize];
                    }
                    let log_id = found.log_id.unwrap_or_default();
                    let (mut live, len) = found.live.into_sorted();
                    live.truncate(len);
                    return Ok(Found { report, log_id, damage, live, keys: found.keys });
                }
                Err(RecoverError::TooMuchDamage { have }) => damages = have * 2,
                Err(RecoverError::TooManyMessages { have }) => messages = have * 2,
                Err(error) => {
                    let what =
                        format!("{} cannot be read: {error}", self.directory.path().display());
                    let advice = "`chanmon wal dump` shows what is in each of its files.";
                    return Err(Trouble::new(what).advise(advice).into());
                }
            }
        }
    }

    /// The slots that hold segments, by their places, in the order in which they were begun.
    pub fn segments(&self) -> Vec<(u32, SegmentHeader)> {
        let headers = (0..).zip(&self.headers);
        let mut segments: Vec<(u32, SegmentHeader)> =
            headers.filter_map(|(place, header)| Some((place, header.ok()?))).collect();
        segments.sort_by_key(|(place, header)| (header.segment, *place));
        segments
    }

    /// Goes through the records of one of them.
    pub fn scan(&mut self, place: u32, each: impl FnMut(Item)) -> Result {
        let Some(Ok(header)) = self.headers.get(place as usize).copied() else { return Ok(()) };
        // Whoever began the next one knew where this ends.
        let mut after = self.headers.iter().flatten();
        let after = after.find(|next| next.segment == header.segment + 1);
        let limit = after.map_or(u32::MAX, |next| next.previous_end);
        scan(self, place, &header, limit, &mut vec![0; WINDOW], each).map_err(|error| {
            Trouble::new(format!("slot {}: {error}", self.numbers[place as usize])).into()
        })
    }

    /// The body of a record that is the log's own, and short.
    pub fn body(&mut self, place: u32, offset: u32, header: &RecordHeader) -> Option<Vec<u8>> {
        if matches!(header.kind(), Some(Kind::Send | Kind::Reloc | Kind::Close) | None) {
            return None;
        }
        let mut body = vec![0; header.body_len as usize];
        self.read(place, offset + RECORD_HEADER as u32, &mut body).ok().map(|()| body)
    }

    /// The log, to be drained.
    pub fn into_log(self) -> Result<(Log<Directory>, Options)> {
        let options = Options {
            segment_bytes: self.segment_bytes,
            geometry: self.geometry,
            policy: OpenPolicy::Drain,
            // Those that are found may be longer.
            max_payload: 0,
            max_messages: 1024,
            stage_bytes: 8 << 10,
            ..Options::default()
        };
        let (log, _) = Log::open(self.directory, options.clone())
            .map_err(|error| Trouble::new(format!("cannot be read: {error}")))?;
        Ok((log, options))
    }
}

/// What a slot's file says of itself.
fn header(file: &File) -> std::result::Result<SegmentHeader, HeaderError> {
    let at = |offset: u64| {
        let mut bytes = [0; SEGMENT_HEADER];
        read_all(file, &mut bytes, offset).map_err(|_| HeaderError::Damaged)?;
        SegmentHeader::decode(&bytes)
    };
    let size = file.size().unwrap_or(0);
    match at(0) {
        Err(HeaderError::Blank | HeaderError::Damaged) if size >= 2 * SEGMENT_HEADER as u64 => {
            at(size - SEGMENT_HEADER as u64)
        }
        first => first,
    }
}

fn read_all(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

impl LogDevice for AtRest {
    type Error = io::Error;

    fn slots(&self) -> u32 {
        self.files.len() as u32
    }

    fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    fn available(&mut self, slot: u32) -> io::Result<u32> {
        let size = self.files[slot as usize].size()?;
        Ok(size.min(u64::from(self.segment_bytes)) as u32)
    }

    fn read(&mut self, slot: u32, offset: u32, buffer: &mut [u8]) -> io::Result<()> {
        read_all(&self.files[slot as usize], buffer, u64::from(offset))
    }

    fn write(&mut self, _: u32, _: u32, _: &[u8]) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn sync(&mut self, _: u32) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn renew(&mut self, _: u32) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}
