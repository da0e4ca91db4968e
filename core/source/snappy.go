package source

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/snappy"
)

// xerialMagic begins the framing that Java producers write: 8 bytes, two versions, then blocks of a length and raw snappy.
const xerialMagic = "\x82SNAPPY\x00"

const xerialHeader = len(xerialMagic) + 8

func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, []byte(xerialMagic)) {
		return snappyBlock(dst, src, limit)
	}
	if len(src) < xerialHeader {
		return nil, errors.New("header is cut short")
	}
	src = src[xerialHeader:]
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, errors.New("block is cut short")
		}
		size := binary.BigEndian.Uint32(src)
		if uint64(size) > uint64(len(src)-4) {
			return nil, errors.New("block is cut short")
		}
		var err error
		if dst, err = snappyBlock(dst, src[4:4+size], limit); err != nil {
			return nil, err
		}
		src = src[4+size:]
	}
	return dst, nil
}

// snappyBlock appends one block to dst. The size is written in front, so it is checked before memory is taken.
func snappyBlock(dst, src []byte, limit int) ([]byte, error) {
	size, err := snappy.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if size < 0 || size > limit-len(dst) {
		return nil, &LimitError{limit}
	}
	if need := len(dst) + size; need > cap(dst) {
		dst = room(dst, max(size, min(len(dst), limit-len(dst))), limit)
	}
	at := len(dst)
	if _, err := snappy.Decode(dst[at:at+size:at+size], src); err != nil {
		return nil, err
	}
	return dst[:at+size], nil
}
