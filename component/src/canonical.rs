//! Makes the bits of every NaN canonical in the component's own code.
//!
//! WebAssembly leaves open which NaN an operation gives, so engines and processors differ. After every such operation that is
//! not followed by it already, [`canonicalise`] inserts
//!
//! ```text
//! local.tee $t   f64.const nan   local.get $t   local.get $t   f64.eq   select
//! ```
//!
//! with a fresh local `$t`: a result that equals itself is kept, any other becomes the positive quiet NaN without payload. Vectors
//! use `bitselect`, lane by lane. Host and browsers then run the same code and get the same bits.
//!
//! These need nothing, for the specification gives their bits exactly: constants, loads and stores, `reinterpret`, `neg`, `abs`,
//! `copysign`, `pmin`, `pmax`, lane operations, and conversions from and to integers. Relaxed SIMD is refused before.
//!
//! Canonical components stay as they are to the byte, so `reapply build` writes the bytes, and thus the digest, that a host
//! deploys. Custom sections are left out: they are names and notes, and those about code would be wrong afterwards.

use std::ops::Range;

use wasm_encoder::{
    CodeSection, Component, Encode, Ieee32, Ieee64, Instruction, Module, ModuleSection, NestedComponentSection,
    RawSection, ValType,
};
use wasmparser::{BinaryReaderError, Encoding, FunctionBody, Operator, Parser, Payload, TypeSectionReader};

/// The bits of the one `f32` NaN that a machine sees.
pub const F32_NAN_BITS: u32 = 0x7fc0_0000;

/// The bits of the one `f64` NaN that a machine sees.
pub const F64_NAN_BITS: u64 = 0x7ff8_0000_0000_0000;

/// Returns the component with every NaN canonical, and without custom sections. `component` must be valid by [`FEATURES`](crate::FEATURES).
///
/// # Errors
///
/// Fails if `component` is not valid.
pub fn canonicalise(component: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut parents: Vec<Output> = Vec::new();
    let mut current: Option<Output> = None;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding, .. } => parents.extend(current.replace(Output::new(encoding))),
            Payload::End(_) => match (parents.pop(), current.take()) {
                (Some(mut parent), Some(child)) => {
                    parent.nest(&child);
                    current = Some(parent);
                }
                (_, finished) => return Ok(finished.map(Output::finish).unwrap_or_default()),
            },
            Payload::CustomSection(_) | Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {}
            payload => {
                if let Some(output) = &mut current {
                    output.section(&payload, component)?;
                }
            }
        }
    }
    Ok(current.map(Output::finish).unwrap_or_default())
}

/// A module or component that is being written.
enum Output {
    Component(Component),
    Module(ModuleOutput),
}

#[derive(Default)]
struct ModuleOutput {
    module: Module,
    /// The number of parameters of each type. It is 0 for a type that is not a function's.
    type_params: Vec<u32>,
    /// The number of parameters of each function that has a body.
    function_params: Vec<u32>,
    code: CodeSection,
    bodies: usize,
}

impl Output {
    fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Component => Self::Component(Component::new()),
            Encoding::Module => Self::Module(ModuleOutput::default()),
        }
    }

    fn nest(&mut self, child: &Self) {
        if let Self::Component(parent) = self {
            match child {
                Self::Component(component) => parent.section(&NestedComponentSection(component)),
                Self::Module(output) => parent.section(&ModuleSection(&output.module)),
            };
        }
    }

    fn section(&mut self, payload: &Payload<'_>, bytes: &[u8]) -> Result<(), BinaryReaderError> {
        match self {
            Self::Component(component) => {
                if let Some((id, range)) = payload.as_section() {
                    component.section(&RawSection { id, data: slice(bytes, range) });
                }
            }
            Self::Module(output) => output.section(payload, bytes)?,
        }
        Ok(())
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Component(component) => component.finish(),
            Self::Module(output) => output.module.finish(),
        }
    }
}

impl ModuleOutput {
    fn section(&mut self, payload: &Payload<'_>, bytes: &[u8]) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => self.type_params = type_params(types)?,
            Payload::FunctionSection(functions) => {
                for type_index in functions.clone() {
                    let params = self.type_params.get(type_index? as usize).copied().unwrap_or_default();
                    self.function_params.push(params);
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                // The bodies follow, one payload each; the section is written after the last.
                self.bodies = *count as usize;
                if *count == 0 {
                    self.module.section(&self.code);
                }
                return Ok(());
            }
            Payload::CodeSectionEntry(body) => {
                let params = self.function_params.get(self.code.len() as usize).copied().unwrap_or_default();
                self.code.raw(&canonical_body(body, params)?);
                if self.code.len() as usize == self.bodies {
                    self.module.section(&self.code);
                }
                return Ok(());
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            self.module.section(&RawSection { id, data: slice(bytes, range) });
        }
        Ok(())
    }
}

fn type_params(types: &TypeSectionReader<'_>) -> Result<Vec<u32>, BinaryReaderError> {
    let mut type_params = Vec::new();
    for group in types.clone() {
        for sub_type in group?.types() {
            let params = match &sub_type.composite_type.inner {
                wasmparser::CompositeInnerType::Func(func) => func.params().len(),
                _ => 0,
            };
            type_params.push(params as u32);
        }
    }
    Ok(type_params)
}

/// The result type of an operation that can give a NaN.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Float {
    F32,
    F64,
    F32x4,
    F64x2,
}

impl Float {
    fn of(operator: &Operator<'_>) -> Option<Self> {
        use Operator as O;
        Some(match operator {
            O::F32Add | O::F32Sub | O::F32Mul | O::F32Div | O::F32Sqrt | O::F32Min | O::F32Max => Self::F32,
            O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest | O::F32DemoteF64 => Self::F32,
            O::F64Add | O::F64Sub | O::F64Mul | O::F64Div | O::F64Sqrt | O::F64Min | O::F64Max => Self::F64,
            O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest | O::F64PromoteF32 => Self::F64,
            O::F32x4Add | O::F32x4Sub | O::F32x4Mul | O::F32x4Div => Self::F32x4,
            O::F32x4Sqrt | O::F32x4Min | O::F32x4Max => Self::F32x4,
            O::F32x4Ceil | O::F32x4Floor | O::F32x4Trunc | O::F32x4Nearest => Self::F32x4,
            O::F32x4DemoteF64x2Zero => Self::F32x4,
            O::F64x2Add | O::F64x2Sub | O::F64x2Mul | O::F64x2Div => Self::F64x2,
            O::F64x2Sqrt | O::F64x2Min | O::F64x2Max => Self::F64x2,
            O::F64x2Ceil | O::F64x2Floor | O::F64x2Trunc | O::F64x2Nearest => Self::F64x2,
            O::F64x2PromoteLowF32x4 => Self::F64x2,
            _ => return None,
        })
    }

    fn local_type(self) -> ValType {
        match self {
            Self::F32 => ValType::F32,
            Self::F64 => ValType::F64,
            Self::F32x4 | Self::F64x2 => ValType::V128,
        }
    }

    /// Returns the constant, the comparison and the selection of the sequence.
    fn instructions(self) -> [Instruction<'static>; 3] {
        match self {
            Self::F32 => [Instruction::F32Const(Ieee32::new(F32_NAN_BITS)), Instruction::F32Eq, Instruction::Select],
            Self::F64 => [Instruction::F64Const(Ieee64::new(F64_NAN_BITS)), Instruction::F64Eq, Instruction::Select],
            Self::F32x4 => [Instruction::V128Const(self.lanes()), Instruction::F32x4Eq, Instruction::V128Bitselect],
            Self::F64x2 => [Instruction::V128Const(self.lanes()), Instruction::F64x2Eq, Instruction::V128Bitselect],
        }
    }

    fn lanes(self) -> i128 {
        let (f32_bits, f64_bits) = (u128::from(F32_NAN_BITS), u128::from(F64_NAN_BITS));
        let bits = match self {
            Self::F32 | Self::F32x4 => f32_bits | f32_bits << 32 | f32_bits << 64 | f32_bits << 96,
            Self::F64 | Self::F64x2 => f64_bits | f64_bits << 64,
        };
        bits.cast_signed()
    }

    fn write(self, local: u32, bytes: &mut Vec<u8>) {
        let [constant, equal, select] = self.instructions();
        Instruction::LocalTee(local).encode(bytes);
        constant.encode(bytes);
        Instruction::LocalGet(local).encode(bytes);
        Instruction::LocalGet(local).encode(bytes);
        equal.encode(bytes);
        select.encode(bytes);
    }

    /// Returns whether `following` begins with the sequence, in any local.
    fn is_canonical_already(self, following: &[(Operator<'_>, usize)]) -> bool {
        use Operator as O;
        let [(O::LocalTee { local_index }, _), (constant, _), get, again, (equal, _), (select, _), ..] = following
        else {
            return false;
        };
        let same_local = |(operator, _): &(O<'_>, usize)| matches!(operator, O::LocalGet { local_index: index } if index == local_index);
        let same_rest = match (self, constant, equal, select) {
            (Self::F32, O::F32Const { value }, O::F32Eq, O::Select) => value.bits() == F32_NAN_BITS,
            (Self::F64, O::F64Const { value }, O::F64Eq, O::Select) => value.bits() == F64_NAN_BITS,
            (Self::F32x4, O::V128Const { value }, O::F32x4Eq, O::V128Bitselect)
            | (Self::F64x2, O::V128Const { value }, O::F64x2Eq, O::V128Bitselect) => value.i128() == self.lanes(),
            _ => false,
        };
        same_rest && same_local(get) && same_local(again)
    }
}

/// Returns the body with the sequence after every operation that lacks it. All other code keeps its bytes, and so does a body in which no
/// operation lacks the sequence.
fn canonical_body(body: &FunctionBody<'_>, params: u32) -> Result<Vec<u8>, BinaryReaderError> {
    let operators =
        body.get_operators_reader()?.into_iter_with_offsets().collect::<Result<Vec<_>, BinaryReaderError>>()?;
    // A body's last operator is its `end`, so each operation has a successor, and ends where the successor begins.
    let lacking: Vec<(Float, usize)> = operators
        .windows(2)
        .enumerate()
        .filter_map(|(index, pair)| {
            let float = Float::of(&pair[0].0)?;
            let following = operators.get(index + 1..).unwrap_or_default();
            (!float.is_canonical_already(following)).then_some((float, pair[1].1))
        })
        .collect();
    if lacking.is_empty() {
        return Ok(body.as_bytes().to_vec());
    }

    let mut locals = body.get_locals_reader()?;
    let groups = locals.get_count();
    let groups_start = locals.original_position();
    let mut first_fresh = params;
    for _ in 0..groups {
        first_fresh = first_fresh.saturating_add(locals.read()?.0);
    }
    let code_start = locals.original_position();
    let mut fresh: Vec<ValType> = Vec::new();
    for (float, _) in &lacking {
        if !fresh.contains(&float.local_type()) {
            fresh.push(float.local_type());
        }
    }

    let range = body.range();
    let original = |from: usize, to: usize| slice(body.as_bytes(), from - range.start..to - range.start);
    let mut bytes = Vec::with_capacity(body.as_bytes().len() + lacking.len() * 24);
    (groups + fresh.len() as u32).encode(&mut bytes);
    bytes.extend_from_slice(original(groups_start, code_start));
    for local_type in &fresh {
        1u32.encode(&mut bytes);
        local_type.encode(&mut bytes);
    }
    let mut written = code_start;
    for (float, end) in lacking {
        bytes.extend_from_slice(original(written, end));
        let place = fresh.iter().position(|local_type| *local_type == float.local_type()).unwrap_or_default();
        float.write(first_fresh.saturating_add(place as u32), &mut bytes);
        written = end;
    }
    bytes.extend_from_slice(original(written, range.end));
    Ok(bytes)
}

/// Returns the range of `bytes`. The parser's ranges are always inside.
fn slice(bytes: &[u8], range: Range<usize>) -> &[u8] {
    bytes.get(range).unwrap_or_default()
}
