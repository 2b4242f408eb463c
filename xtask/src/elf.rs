//! Reads from a firmware's ELF file what it takes of flash and of RAM, and the names in it.
//!
//! Only what 32-bit little-endian Arm firmware needs of the format: no more than a page of code, where a
//! crate would bring every other processor along.

use std::fs;
use std::ops::Sub;
use std::path::Path;

use crate::Result;

/// What a program takes of each memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Code, constants and the initial values of variables.
    pub flash: u32,
    /// Variables, without the stack.
    pub ram: u32,
}

impl Sub for Size {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            flash: self.flash.saturating_sub(other.flash),
            ram: self.ram.saturating_sub(other.ram),
        }
    }
}

/// Section types and flags of the ELF specification.
const SYMBOL_TABLE: u32 = 2;
const NO_CONTENT: u32 = 8;
const WRITABLE: u32 = 1 << 0;
const IN_MEMORY: u32 = 1 << 1;

/// A 32-bit little-endian ELF file.
pub struct Elf {
    bytes: Vec<u8>,
}

struct Section {
    kind: u32,
    flags: u32,
    address: u32,
    offset: usize,
    size: u32,
    link: usize,
}

impl Elf {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        // The magic number, then 1 for 32 bits and 1 for little-endian.
        if !bytes.starts_with(b"\x7fELF\x01\x01") {
            return Err(format!("{} is not a 32-bit little-endian ELF file", path.display()));
        }
        Ok(Self { bytes })
    }

    /// What the program takes of each memory.
    pub fn size(&self) -> Result<Size> {
        let mut size = Size::default();
        for section in self.sections()? {
            if section.flags & IN_MEMORY == 0 {
                continue;
            }
            // A variable's initial value is kept in flash and copied to RAM: it counts in both.
            if section.kind != NO_CONTENT {
                size.flash += section.size;
            }
            if section.flags & WRITABLE != 0 {
                size.ram += section.size;
            }
        }
        Ok(size)
    }

    /// The names of the program's functions and variables, as the linker knows them.
    pub fn symbols(&self) -> Result<Vec<String>> {
        Ok(self.named_values()?.into_iter().map(|(name, _)| name).collect())
    }

    /// The address of a function's first instruction.
    pub fn function(&self, name: &str) -> Result<u32> {
        let found = self.named_values()?.into_iter().find(|(symbol, _)| symbol == name);
        // The lowest bit says that it is Thumb code.
        found.map(|(_, value)| value & !1).ok_or_else(|| format!("the program has no {name}"))
    }

    /// The halfword of code at `address`.
    pub fn code(&self, address: u32) -> Result<u16> {
        let holds = |section: &&Section| {
            section.flags & IN_MEMORY != 0
                && section.kind != NO_CONTENT
                && (section.address..section.address + section.size).contains(&address)
        };
        let sections = self.sections()?;
        let section = sections.iter().find(holds).ok_or("no code at an executed address")?;
        self.half(section.offset + (address - section.address) as usize)
    }

    fn named_values(&self) -> Result<Vec<(String, u32)>> {
        const ENTRY: usize = 16;
        let sections = self.sections()?;
        let mut names = Vec::new();
        for table in sections.iter().filter(|section| section.kind == SYMBOL_TABLE) {
            let text = sections.get(table.link).ok_or("a symbol table has no names")?;
            for entry in (0..table.size as usize).step_by(ENTRY) {
                let name = text.offset + self.word(table.offset + entry)? as usize;
                let rest = self.bytes.get(name..).ok_or("a name is outside of the file")?;
                let name = rest.split(|&byte| byte == 0).next().unwrap_or_default();
                let value = self.word(table.offset + entry + 4)?;
                names.push((String::from_utf8_lossy(name).into_owned(), value));
            }
        }
        Ok(names)
    }

    fn sections(&self) -> Result<Vec<Section>> {
        let table = self.word(0x20)? as usize;
        let entry_size = usize::from(self.half(0x2E)?);
        let count = usize::from(self.half(0x30)?);
        (0..count)
            .map(|index| {
                let entry = table + index * entry_size;
                Ok(Section {
                    kind: self.word(entry + 0x04)?,
                    flags: self.word(entry + 0x08)?,
                    address: self.word(entry + 0x0C)?,
                    offset: self.word(entry + 0x10)? as usize,
                    size: self.word(entry + 0x14)?,
                    link: self.word(entry + 0x18)? as usize,
                })
            })
            .collect()
    }

    fn half(&self, offset: usize) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array(offset)?))
    }

    fn word(&self, offset: usize) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(offset)?))
    }

    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N]> {
        let bytes = self.bytes.get(offset..offset + N);
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| format!("the ELF file ends before byte {}", offset + N))
    }
}
