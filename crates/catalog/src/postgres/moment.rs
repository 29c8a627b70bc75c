//! Instants as Postgres keeps them: microseconds since the year 2000.

use callboard_core::Timestamp;
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, types::Oid},
};

/// A `timestamptz`. Instants that it can't hold are its first or its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub Timestamp);

/// 2000-01-01, where Postgres begins to count.
const BEGIN: i64 = 946_684_800_000;
/// 4713 BC and the year 294276, to within a day.
const FIRST: i64 = -211_813_401_600_000;
const LAST: i64 = 9_224_318_015_999_999;

const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

impl Moment {
    pub fn of(at: Option<Timestamp>) -> Option<Self> {
        at.map(Self)
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = (self.0.0.clamp(FIRST, LAST) - BEGIN) * 1000;
        Encode::<Postgres>::encode(micros, buffer)
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(Timestamp(micros.div_euclid(1000).saturating_add(BEGIN))))
    }
}
