package source

import (
	"encoding/binary"
	"errors"

	"github.com/pierrec/lz4/v4"
)

const lz4Magic = 0x184D2204

// Flags of an lz4 frame.
const (
	lz4Linked     = 0x20 // absent: blocks refer to the 64 KiB before them
	lz4BlockSum   = 0x10
	lz4Size       = 0x08
	lz4ContentSum = 0x04
	lz4Dict       = 0x01
)

var errLZ4Short = errors.New("frame is cut short")

// unlz4 appends an lz4 frame's content to dst. The frame's own checksums are stepped over: the batch's has covered all of its bytes.
func unlz4(dst, src []byte, limit int) ([]byte, error) {
	flags, blockMax, src, err := lz4Header(src)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	dst = room(dst, min(limit-start, 4*len(src)), limit)
	for {
		if len(src) < 4 {
			return nil, errLZ4Short
		}
		word := binary.LittleEndian.Uint32(src)
		src = src[4:]
		if word == 0 {
			break
		}
		size := int(word &^ (1 << 31))
		if size > blockMax || size > len(src) {
			return nil, errLZ4Short
		}
		dict := dst[len(dst):]
		if flags&lz4Linked == 0 {
			dict = dst[max(start, len(dst)-64<<10):]
		}
		if dst, err = lz4Block(dst, src[:size], dict, word>>31 == 1, min(blockMax, limit-len(dst)), limit); err != nil {
			return nil, err
		}
		src = src[size:]
		if flags&lz4BlockSum != 0 {
			if len(src) < 4 {
				return nil, errLZ4Short
			}
			src = src[4:]
		}
	}
	if flags&lz4ContentSum != 0 {
		if len(src) < 4 {
			return nil, errLZ4Short
		}
		src = src[4:]
	}
	if len(src) != 0 {
		return nil, errors.New("bytes after the end of the frame")
	}
	return dst, nil
}

// lz4Header reads a frame's flags and largest block, and returns what follows.
func lz4Header(src []byte) (flags byte, blockMax int, rest []byte, err error) {
	if len(src) < 7 || binary.LittleEndian.Uint32(src) != lz4Magic {
		return 0, 0, nil, errors.New("not an lz4 frame")
	}
	flags, shift := src[4], int(src[5]>>4)&7
	if flags>>6 != 1 || flags&lz4Dict != 0 {
		return 0, 0, nil, errors.New("frame version or dictionary is not supported")
	}
	if shift < 4 {
		return 0, 0, nil, errors.New("impossible block size")
	}
	head := 7
	if flags&lz4Size != 0 {
		head += 8
	}
	if len(src) < head {
		return 0, 0, nil, errLZ4Short
	}
	return flags, 1 << (8 + 2*shift), src[head:], nil // 4 to 7: 64 KiB to 4 MiB
}

// lz4Block appends one block. Its unpacked size is not written anywhere, only the largest possible: with too little room the decoder
// gives up and is called again with more, so that a batch of a few KiB does not take a buffer of 4 MiB.
func lz4Block(dst, src, dict []byte, stored bool, most, limit int) ([]byte, error) {
	if stored {
		if len(src) > most {
			return nil, &LimitError{limit}
		}
		return append(room(dst, len(src), limit), src...), nil
	}
	for {
		at := len(dst)
		space := min(cap(dst)-at, most)
		n, err := lz4.UncompressBlockWithDict(src, dst[at:at+space:at+space], dict)
		if err == nil {
			return dst[:at+n], nil
		}
		if space >= most {
			if most == limit-at {
				return nil, &LimitError{limit}
			}
			return nil, err
		}
		dst = room(dst, min(most, max(2*space, 64<<10)), limit)
	}
}
